"""Thresholds by which a stated share of searches for absent people finds somebody.

For each query of the calibration set, the scores of the gallery's other people are known. A
gallery of N tracklets is a random part of these: the chance that the k-th highest of M scores is
the highest in it follows from the hypergeometric distribution. For a larger gallery than that of
the calibration set, the tail of the maxima is continued as an exponential one.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

DEPTH = 200  # highest scores kept of a query
_TAIL = 0.2  # share of the maxima that the tail is fitted to


def highest(scores: Floats, same: npt.NDArray[np.bool_]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Returns the highest scores of other people for each query, and how many others there are.

    Args:
        scores: Scores of queries and gallery items.
        same: Whether both are one person.

    Shape:
        scores, same: ``(Q, G)``; results: ``(Q, K)``, in descending order, and ``(Q,)``.
    """
    ordered = -np.sort(-np.where(same, -np.inf, scores), axis=1)[:, :DEPTH]
    return ordered, (~same).sum(axis=1)


def chance_of_maximum(others: npt.NDArray[np.int64], size: int, depth: int) -> Floats:
    """Returns how probably the k-th highest score is the highest of a random part.

    Args:
        others: Number of scores that the part is drawn from, of each query.
        size: Size of the part.
        depth: Number of highest scores.

    Shape:
        others: ``(Q,)``; result: ``(Q, K)``. The last column stands for all that follow.
    """
    rank = np.arange(depth - 1)
    left_out = np.maximum(others[:, None] - size - rank, 0)
    ratio = left_out / np.maximum(others[:, None] - rank, 1)
    absent = np.cumprod(np.concatenate([np.ones((len(others), 1)), ratio], axis=1), axis=1)
    return absent - np.concatenate([absent[:, 1:], np.zeros((len(others), 1))], axis=1)


def threshold_of(scores: Floats, others: npt.NDArray[np.int64], rate: float, size: int) -> float:
    """Returns the lowest threshold that promises a false positive identification rate.

    The promise holds for queries that are exchangeable with those of the calibration set: the
    search that it is given for is counted as a false positive among them (split conformal
    prediction; Vovk et al., "Algorithmic learning in a random world", 2005, section 4.2).

    Args:
        scores: From `highest`.
        others: Likewise.
        rate: The rate.
        size: Number of tracklets in the gallery that is searched.

    Raises:
        ValueError: If there are too few queries for such a rate; says how many are needed.
    """
    number = len(scores)
    check_rate(rate)
    allowed = rate * (number + 1) - 1
    if allowed < -1e-9:
        raise ValueError(
            f"A rate of {rate:g} cannot be promised: it takes {int(np.ceil(1 / rate - 1e-9)) - 1} "
            f"queries to calibrate on, and there were {number}."
        )
    weights = chance_of_maximum(others, size, scores.shape[1]).ravel()
    order = np.argsort(-scores, axis=None, kind="stable")
    above = np.cumsum(weights[order])
    found = float(scores.ravel()[order[np.searchsorted(above, allowed + 1e-9, side="right")]])
    growth = size / float(others.mean())
    return found if growth <= 1 else found + tail_scale(scores[:, 0]) * float(np.log(growth))


def check_rate(rate: float) -> None:
    """Checks that a rate can be promised by any number of queries.

    Args:
        rate: The rate.

    Raises:
        ValueError: If it is not between 0 and 1.
    """
    if not 0 < rate < 1:
        raise ValueError(f"Received a rate of {rate}, but expected a share between 0 and 1.")


def tail_scale(maxima: Floats) -> float:
    """Returns by how much the threshold rises if the gallery grows e-fold.

    That is the mean excess of an exponential tail (peaks over threshold; Pickands, 1975).

    Args:
        maxima: The highest score of each query. Shape: ``(Q,)``.
    """
    ordered = np.sort(maxima)
    start = len(ordered) - max(2, round(_TAIL * len(ordered)))
    return float((ordered[start:] - ordered[max(start - 1, 0)]).mean())
