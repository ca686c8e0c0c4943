"""Verification: are the two of a pair the same person? ROC, and TPR at a FPR."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.metrics.rank import checked_ranking

Floats = npt.NDArray[np.floating[Any]]


class Pairs(NamedTuple):
    """Distances of pairs of tracklets.

    Attributes:
        distances: Shape ``(P,)``.
        same: Whether both are the same person. Shape ``(P,)``.
    """

    distances: Floats
    same: npt.NDArray[np.bool_]


class Roc(NamedTuple):
    """A receiver operating characteristic; a pair counts as the same below a threshold.

    Attributes:
        thresholds: Ascending, one for each distance that occurs, and infinity. Shape ``(N,)``.
        fpr: Share of the pairs of two people below each threshold. Shape ``(N,)``.
        tpr: Share of the pairs of one person below it. Shape ``(N,)``.
    """

    thresholds: Floats
    fpr: Floats
    tpr: Floats


def pairs_of(
    distmat: npt.ArrayLike,
    q_pids: npt.ArrayLike,
    g_pids: npt.ArrayLike,
    q_camids: npt.ArrayLike,
    g_camids: npt.ArrayLike,
) -> Pairs:
    """Returns all pairs of a query and a gallery item but those of one person in one camera.

    Args:
        distmat: Distances of queries to gallery items.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.

    Shape:
        distmat: (Q, G); q_pids, q_camids: (Q,); g_pids, g_camids: (G,).

    Raises:
        ValueError: If shapes do not match, or a distance is NaN.
    """
    ranking = checked_ranking(distmat, q_pids, g_pids, q_camids, g_camids)
    same = ranking.q_pids[:, None] == ranking.g_pids[None]
    compared = ~(same & (ranking.q_camids[:, None] == ranking.g_camids[None]))
    return Pairs(ranking.distmat[compared], same[compared])


def roc_curve(distances: npt.ArrayLike, same: npt.ArrayLike) -> Roc:
    """Computes the receiver operating characteristic of distances.

    Args:
        distances: Distances of pairs.
        same: Whether both of a pair are the same person.

    Shape:
        distances, same: (P,).

    Raises:
        ValueError: If there are no pairs of one person, or none of two.
    """
    positive, negative = _sorted_by_truth(distances, same)
    thresholds = np.append(np.unique(np.concatenate([positive, negative])), np.inf)
    fpr = np.searchsorted(negative, thresholds) / len(negative)
    tpr = np.searchsorted(positive, thresholds) / len(positive)
    return Roc(thresholds, fpr, tpr)


def tpr_at_fpr(distances: npt.ArrayLike, same: npt.ArrayLike, fpr: float) -> float:
    """Returns the true positive rate at the largest threshold with at most a false positive rate.

    Args:
        distances: Distances of pairs.
        same: Whether both of a pair are the same person.
        fpr: The false positive rate, 0 to 1.

    Shape:
        distances, same: (P,).

    Raises:
        ValueError: If there are no pairs of one person, or none of two, or `fpr` is no share.
    """
    positive, negative = _sorted_by_truth(distances, same)
    return float((positive < threshold_at(negative, fpr)).mean())


def threshold_at(negative: npt.ArrayLike, rate: float) -> float:
    """Returns the largest threshold that at most a share of the negatives' distances are below.

    Args:
        negative: Distances of the negatives.
        rate: The share, 0 to 1.

    Shape:
        negative: (N,).

    Raises:
        ValueError: If `rate` is no share, or there are no distances.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"Received a rate of {rate}, but expected a share from 0 to 1.")
    ordered = np.sort(np.asarray(negative))
    if not len(ordered):
        raise ValueError("There are no distances of negatives to set a threshold by.")
    # The product is rounded: 0.07 * 100 is 7.000000000000001, but 0.29 * 100 is 28.999999999999996.
    allowed = int(np.floor(round(rate * len(ordered), 9)))
    return float(ordered[allowed]) if allowed < len(ordered) else float(np.inf)


def _sorted_by_truth(distances: npt.ArrayLike, same: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Returns the distances of pairs of one person and of two, each in ascending order."""
    values, truth = np.asarray(distances), np.asarray(same, bool)
    if values.shape != truth.shape or values.ndim != 1:
        raise ValueError(
            f"Received distances of shape {values.shape} and truth of shape {truth.shape}, but "
            "expected (P,) each."
        )
    if np.isnan(values).any():
        raise ValueError("Some distances are NaN: some features are not finite.")
    positive, negative = np.sort(values[truth]), np.sort(values[~truth])
    if not len(positive) or not len(negative):
        raise ValueError(
            f"There are {len(positive)} pairs of one person and {len(negative)} pairs of two: "
            "both are needed."
        )
    return positive, negative
