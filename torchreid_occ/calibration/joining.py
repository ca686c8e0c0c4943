"""How probably two tracklets of a gallery are one person, by how the gallery lies around them.

Beside their similarity, two tracklets of one person share neighbours. Features are centred by
camera first, which needs no labels.

Reference: Zhong et al., "Re-ranking person re-identification with k-reciprocal encoding" (CVPR
2017), section 3.3, for the Jaccard similarity of neighbours.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration.cohort import Floats, unit
from torchreid_occ.calibration.grouping import Joins, group
from torchreid_occ.metrics.re_ranking import shared_neighbours
from torchreid_occ.utils.dependencies import import_optional

K1, K2 = 10, 3  # of the encoding: half of those for ranking, as people have few tracklets
JOIN_WEIGHTS = 4  # of three kinds of evidence, and an intercept
_PRIOR = 10  # tracklets that the mean of many others counts as
_FLOOR = 1e-3  # added to a Jaccard similarity before its logarithm
_NEAREST = 50  # tracklets nearest to each that the classifier learns from


def centred(features: Floats, cameras: npt.NDArray[np.int64], mean: Floats) -> Floats:
    """Removes the mean of each camera from features.

    Where a camera has few tracklets, its mean is drawn towards that of the gallery, and where that
    has few, towards a given one.

    Args:
        features: Features of any norm.
        cameras: Their cameras.
        mean: Mean of other features of unit length.

    Shape:
        features: ``(N, D)``; cameras: ``(N,)``; mean: ``(D,)``; result: ``(N, D)``, of unit length.
    """
    moved = unit(features).copy()
    overall = (moved.sum(axis=0) + _PRIOR * mean) / (len(moved) + _PRIOR)
    for camera in np.unique(cameras):
        own = cameras == camera
        moved[own] -= (moved[own].sum(axis=0) + _PRIOR * overall) / (own.sum() + _PRIOR)
    return unit(moved)


def evidence_of_pairs(features: Floats, cameras: npt.NDArray[np.int64], mean: Floats) -> Floats:
    """Returns what is known of all pairs of a gallery, for a classifier.

    Args:
        features: Features of any norm.
        cameras: Their cameras.
        mean: See `centred`.

    Shape:
        features: ``(N, D)``; cameras: ``(N,)``; mean: ``(D,)``; result: ``(N, N, 3)``: similarity,
        Jaccard similarity of the neighbours, and its logarithm.
    """
    own = centred(features, cameras, mean)
    similarity = own @ own.T
    distances = np.sqrt(np.maximum(2 - 2 * similarity, 1e-12))  # equal features, too
    shared = shared_neighbours(lambda rows: distances[rows], len(own), K1, K2)
    return np.stack([similarity, shared, np.log(shared + _FLOOR)], axis=-1)


def odds_of_pairs(
    features: Floats, cameras: npt.NDArray[np.int64], mean: Floats, join: Floats
) -> Floats:
    """Returns the log odds that two tracklets of a gallery should be joined.

    Args:
        features: Features of any norm.
        cameras: Their cameras.
        mean: See `centred`.
        join: From `fit_join`.

    Shape:
        features: ``(N, D)``; cameras: ``(N,)``; mean: ``(D,)``; join: ``(4,)``; result: ``(N, N)``.
    """
    odds: Floats = evidence_of_pairs(features, cameras, mean) @ join[:-1] + join[-1]
    return odds


def fit_join(
    features: Floats,
    cameras: npt.NDArray[np.int64],
    pids: npt.NDArray[np.int64],
    mean: Floats,
) -> npt.NDArray[np.float64]:
    """Fits the weights of the evidence, and last the intercept.

    The weights are those of a logistic regression on each tracklet's nearest ones. The intercept is
    set so that joining groups down to mean log odds of 0 gives the best pairwise F1.

    Args:
        features: Features of any norm.
        cameras: Their cameras.
        pids: Their identities.
        mean: See `centred`.

    Shape:
        features: ``(N, D)``; cameras, pids: ``(N,)``; mean: ``(D,)``; result: ``(4,)``.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    (linear,) = import_optional("sklearn.linear_model", extra="calibration")
    known = evidence_of_pairs(features, cameras, mean)
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
