"""How pairs are to be joined in galleries that are smaller than that of the calibration.

In a small gallery all tracklets share neighbours, the means of its cameras are mostly those of the
few people themselves, and two of its tracklets are more often one person. Tracklets of the cohort
stand in for those that it lacks, and the weights of the evidence change with its size, which is
learned from small galleries drawn at random.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from torchreid_occ.calibration.space import Floats

DEGREE = 2  # of the polynomial of a gallery's size
_DRAWS = 100
_STAND_INS = 100  # at most, as ten neighbours of each tracklet are compared
_LARGEST = 200  # tracklets in a gallery that is drawn
_RIDGE = 0.05  # penalty of the changes, in standard deviations of what they are multiplied with


def stand_ins(cohort: Floats, size: int, full: int) -> Floats:
    """Returns tracklets of the cohort, evenly spread over it, that fill up a small gallery.

    Args:
        cohort: Features of the cohort. Shape: ``(C, D)``.
        size: Number of tracklets in the gallery.
        full: Number up to which it is filled, by at most 100 and as far as the cohort goes.
    """
    number = min(max(full - size, 0), _STAND_INS, len(cohort))
    chosen: Floats = cohort[np.linspace(0, len(cohort) - 1, number).round().astype(np.int64)]
    return chosen


def weights_at(join: Floats, size: int, full: int) -> Floats:
    """Returns the weights of the evidence in a gallery of a size.

    Args:
        join: Weights in galleries of the full size, and their changes with the logarithm of what a
            gallery is smaller by, and with its square. Shape: ``(3, W)``.
        size: Number of tracklets in the gallery.
        full: The full size.
    """
    weights: Floats = _powers(size, full) @ join
    return weights


def random_parts(
    pids: npt.NDArray[np.int64], camids: npt.NDArray[np.int64], full: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Draws small galleries: some tracklets of some people in some cameras.

    Sizes are drawn up to half of the full one or 200, evenly on a logarithmic scale, and the number
    of people evenly between half and twice the size, so that about half of the tracklets have a
    mate, as half of the people searched for are taken to be in a gallery.

    Args:
        pids: Identities of all tracklets.
        camids: Their cameras.
        full: The full size.

    Yields:
        Indices of a gallery's tracklets, two at least.
    """
    rng = np.random.default_rng(0)
    people, cameras = np.unique(pids), np.unique(camids)
    largest = max(min(full / 2, _LARGEST), 2)
    for _ in range(_DRAWS):
        size = round(float(np.exp(rng.uniform(np.log(2), np.log(largest)))))
        seen = rng.permutation(cameras)[: rng.integers(2, max(len(cameras), 2) + 1)]
        there = rng.permutation(people)[: rng.integers(max(2, size // 2), 2 * size + 1)]
        chosen = np.flatnonzero(np.isin(camids, seen) & np.isin(pids, there))
        if len(chosen) > 1:
            yield np.sort(rng.permutation(chosen)[:size])


def fit_changes(
    known: Sequence[Floats], same: Sequence[npt.NDArray[np.bool_]], weights: Floats, full: int
) -> Floats:
    """Fits how the weights change in small galleries, by a logistic regression on their pairs.

    Each gallery counts alike.

    Args:
        known: Evidence of all pairs of each gallery, of shape ``(N, N, W - 1)``.
        same: Whether they are one person, of shape ``(N, N)``.
        weights: Weights in galleries of the full size, and last the intercept. Shape: ``(W,)``.
        full: The full size.

    Shape:
        result: ``(2, W)``, see `weights_at`.
    """
    rows, fixed, signs, counts = [], [], [], []
    for evidence, is_same in zip(known, same, strict=True):
        pairs = np.triu_indices(len(is_same), 1)
        own = np.concatenate([evidence[pairs], np.ones((len(pairs[0]), 1))], axis=1)
        rows.append(np.kron(_powers(len(is_same), full)[1:], own))
        fixed.append(own @ weights)
        signs.append(np.where(is_same[pairs], -1.0, 1.0))
        counts.append(np.full(len(own), 1 / len(own)))
    design, offset, sign, count = map(np.concatenate, (rows, fixed, signs, counts))
    spread = design.std(axis=0) + 1e-9

    def loss(changes: Floats) -> tuple[float, Floats]:
        odds = sign * (offset + design @ (changes / spread))
        slope = design.T @ (count * sign * expit(odds)) / spread + 2 * _RIDGE * changes
        return float(count @ np.logaddexp(0, odds) + _RIDGE * changes @ changes), slope

    found: Floats = minimize(loss, np.zeros(design.shape[1]), jac=True).x / spread
    return found.reshape(DEGREE, len(weights))


def _powers(size: int, full: int) -> npt.NDArray[np.float64]:
    """Returns the powers of the logarithm of what a gallery is smaller by, from 0 on."""
    return np.log(max(full / max(size, 1), 1.0)) ** np.arange(DEGREE + 1)
