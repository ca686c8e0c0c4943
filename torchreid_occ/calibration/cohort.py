"""How near a tracklet is to people whom it does not show, by which its distances are judged.

Some tracklets resemble many people, others nobody. Adaptive symmetric normalisation of scores, the
usual remedy in speaker recognition, compares a pair's similarity with those of both sides to the
nearest tracklets of a cohort.

Reference: Matejka et al., "Analysis of score normalization in multilingual speaker recognition"
(Interspeech 2017), section 2.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration.space import Floats, unit

NEAREST = 0.05  # share of the cohort whose similarities count
_FEWEST = 5  # tracklets of the cohort that count at least


class Levels(NamedTuple):
    """Similarity of tracklets to the nearest of the cohort.

    Attributes:
        mean: Their mean. Shape ``(N,)``.
        spread: Their standard deviation. Shape ``(N,)``.
    """

    mean: Floats
    spread: Floats


def levels(similarities: Floats) -> Levels:
    """Returns mean and spread of the highest similarities to a cohort.

    Args:
        similarities: Cosine similarities of tracklets to the cohort's. Shape: ``(N, C)``.
    """
    number = min(similarities.shape[1], max(_FEWEST, round(NEAREST * similarities.shape[1])))
    nearest = -np.partition(-similarities, number - 1, axis=1)[:, :number]
    return Levels(nearest.mean(axis=1), np.maximum(nearest.std(axis=1), 1e-6))


def evidence(query: Floats, gallery: Floats, cohort: Floats) -> npt.NDArray[np.float64]:
    """Returns what is known of all pairs, for a classifier.

    Args:
        query: Features of any norm.
        gallery: Likewise.
        cohort: Features of other people, of unit length.

    Shape:
        query: ``(Q, D)``; gallery: ``(G, D)``; cohort: ``(C, D)``; result: ``(Q, G, 5)``: cosine
        similarity, its square, the sum of both means, that of both spreads, and the sum of the
        similarity in spreads above either mean.
    """
    some, others = unit(query), unit(gallery)
    mean, spread = (part[:, None] for part in levels(some @ cohort.T))
    other_mean, other_spread = levels(others @ cohort.T)
    similarities = some @ others.T
    normalised = (similarities - mean) / spread + (similarities - other_mean) / other_spread
    sums = mean + other_mean, spread + other_spread
    return np.stack([similarities, similarities**2, *sums, normalised], axis=-1)
