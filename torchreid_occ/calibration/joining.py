"""How probably two tracklets of a gallery are one person, by how the gallery lies around them.

Beside their similarity, two tracklets of one person share neighbours. All features here are adapted
ones, see `torchreid_occ.calibration.space`.

Reference: Zhong et al., "Re-ranking person re-identification with k-reciprocal encoding" (CVPR
2017), section 3.3, for the Jaccard similarity of neighbours.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration.grouping import Joins, group
from torchreid_occ.calibration.small_galleries import stand_ins, weights_at
from torchreid_occ.calibration.space import Floats
from torchreid_occ.metrics.re_ranking import shared_neighbours
from torchreid_occ.utils.dependencies import import_optional

K1, K2 = 10, 3  # of the encoding: half of those for ranking, as people have few tracklets
JOIN_WEIGHTS = 4  # of three kinds of evidence, and an intercept
_FLOOR = 1e-3  # added to a Jaccard similarity before its logarithm
_NEAREST = 50  # tracklets nearest to each that the classifier learns from


def evidence_of_pairs(features: Floats, strangers: Floats | None = None) -> Floats:
    """Returns what is known of all pairs of a gallery, for a classifier.

    Args:
        features: Adapted features, of unit length.
        strangers: Likewise, of people who are not in the gallery; they can be neighbours, too.

    Shape:
        features: ``(N, D)``; strangers: ``(S, D)``; result: ``(N, N, 3)``: similarity, Jaccard
        similarity of the neighbours, and its logarithm.
    """
    number = len(features)
    everyone = features if strangers is None else np.concatenate([features, strangers])
    similarity = everyone @ everyone.T
    distances = np.sqrt(np.maximum(2 - 2 * similarity, 1e-12))  # equal features, too
    shared = shared_neighbours(lambda rows: distances[rows], len(everyone), K1, K2)
    own = shared[:number, :number]
    return np.stack([similarity[:number, :number], own, np.log(own + _FLOOR)], axis=-1)


def odds_of_pairs(features: Floats, join: Floats, cohort: Floats, full: int) -> Floats:
    """Returns the log odds that two tracklets of a gallery should be joined.

    Args:
        features: Adapted features of the gallery, of unit length.
        join: Weights of the evidence, see `torchreid_occ.calibration.small_galleries.weights_at`.
        cohort: Adapted features of other people, of unit length.
        full: Number of tracklets below which a gallery counts as small.

    Shape:
        features: ``(N, D)``; join: ``(3, 4)``; cohort: ``(C, D)``; result: ``(N, N)``.
    """
    number = len(features)
    weights = weights_at(join, number, full)
    known = evidence_of_pairs(features, stand_ins(cohort, number, full))
    odds: Floats = known @ weights[:-1] + weights[-1]
    return odds


def fit_join(features: Floats, pids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Fits the weights of the evidence in a gallery of this size, and last the intercept.

    The weights are those of a logistic regression on each tracklet's nearest ones. The intercept is
    set so that joining groups down to mean log odds of 0 gives the best pairwise F1.

    Args:
        features: Adapted features, of unit length.
        pids: Their identities.

    Shape:
        features: ``(N, D)``; pids: ``(N,)``; result: ``(4,)``.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    (linear,) = import_optional("sklearn.linear_model", extra="calibration")
    known = evidence_of_pairs(features)
    same = pids[:, None] == pids
    number = min(_NEAREST + 1, len(pids))
    nearest = np.argsort(-known[..., 0], axis=1, kind="stable")[:, :number]
    near = np.zeros_like(same)
    np.put_along_axis(near, nearest, True, axis=1)
    np.fill_diagonal(near, False)
    spread = known.reshape(-1, known.shape[-1]).std(axis=0) + 1e-9
    model = linear.LogisticRegression(max_iter=1000).fit(known[near] / spread, same[near])
    weights = model.coef_[0] / spread
    _, joins = group(known @ weights, stop=-np.inf)
    return np.append(weights, -best_stop(joins, pids))


def best_stop(joins: Joins, pids: npt.NDArray[np.int64]) -> float:
    """Returns the value of joins below which going on would lower the best pairwise F1.

    Args:
        joins: All joins of `group`, down to one group.
        pids: True identities. Shape: ``(N,)``.
    """
    members = {index: {pid: 1} for index, pid in enumerate(pids.tolist())}
    total = float(sum(n * (n - 1) / 2 for n in np.unique(pids, return_counts=True)[1]))
    hits, pairs, best, stop, lowest = 0.0, 0.0, -1.0, np.inf, np.inf
    for one, other, value in zip(joins.one, joins.other, joins.value, strict=True):
        own, taken = members[one], members.pop(other)
        pairs += sum(own.values()) * sum(taken.values())
        hits += sum(count * own.get(pid, 0) for pid, count in taken.items())
        for pid, count in taken.items():
            own[pid] = own.get(pid, 0) + count
        lowest = min(lowest, value)
        score = 2 * hits / (pairs + total)
        if score > best:
            best, stop = score, lowest
    return float(stop) - 1e-6


def certainty(value: Any) -> Any:
    """Returns how certain it is that a join is right, 0.5 where joining stops.

    Args:
        value: Mean log odds of the pairs that it joins.
    """
    return 1 / (1 + np.exp(-np.asarray(value, float)))
