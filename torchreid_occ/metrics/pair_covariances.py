"""Second moments of the differences between items from different cameras."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class TrainingSet(NamedTuple):
    """Features of a training set with their labels.

    Shape:
        features: `(N, D)`; pids, camids: `(N,)`.
    """

    features: npt.NDArray[np.float64]
    pids: npt.NDArray[np.int64]
    camids: npt.NDArray[np.int64]


def pair_covariances(
    features: npt.ArrayLike, pids: npt.ArrayLike, camids: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Computes moments of the differences of all pairs from different cameras, by shared pid.

    With a(i, j) = 1 for the pairs that count, the sum of (x_i - x_j)(x_i - x_j)' is
    2 X' (D - A) X with D the row sums of A. A is a sum of block matrices, so no pair is formed.

    Args:
        features: The items' features.
        pids: Their identities.
        camids: Their cameras.

    Shape:
        features: `(N, D)`; pids, camids: `(N,)`.

    Returns:
        Moments of pairs of one identity and of pairs of two, `(D, D)` each.

    Raises:
        ValueError: If there is no pair of one kind, or a feature is not finite.
    """
    features, pids, camids = as_training_set(features, pids, camids)
    _, people = np.unique(pids, return_inverse=True)
    same, num_same = _cross_camera(features, people, camids)
    every, num_all = _cross_camera(features, np.zeros_like(people), camids)
    num_different = num_all - num_same
    if not num_same or not num_different:
        raise ValueError(
            f"Among {len(pids)} items are {num_same:.0f} pairs of one identity and "
            f"{num_different:.0f} of two identities from different cameras, but both are needed."
        )
    return same / num_same, (every - same) / num_different


def as_training_set(
    features: npt.ArrayLike, pids: npt.ArrayLike, camids: npt.ArrayLike
) -> TrainingSet:
    """Converts features and labels to arrays and checks them.

    Args:
        features: Features, `(N, D)`.
        pids: Their identities.
        camids: Their cameras.

    Raises:
        ValueError: If there are not as many labels as features, or a feature is not finite.
    """
    features = np.asarray(features, np.float64)
    pids, camids = np.asarray(pids), np.asarray(camids)
    if features.ndim != 2 or not len(features) == len(pids) == len(camids):
        raise ValueError(
            f"Received features {features.shape}, pids {pids.shape} and camids {camids.shape}, but "
            "expected (N, D), (N,) and (N,)."
        )
    if not np.isfinite(features).all():
        raise ValueError("Some features are not finite: there is no covariance of them.")
    return TrainingSet(features, pids, camids)


def _cross_camera(
    features: npt.NDArray[np.float64],
    groups: npt.NDArray[np.int64],
    camids: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64], int]:
    """Returns the sum over ordered pairs of a group from different cameras, and their number."""
    _, cells = np.unique(np.stack((groups, camids)), axis=1, return_inverse=True)
    cells = cells.reshape(-1)
    in_group, in_cell = np.bincount(groups), np.bincount(cells)
    partners = in_group[groups] - in_cell[cells]
    of_group, of_cell = (_sums(features, labels) for labels in (groups, cells))
    products = of_group.T @ of_group - of_cell.T @ of_cell
    return 2 * ((features.T * partners) @ features - products), partners.sum()


def _sums(
    features: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    sums = np.zeros((labels.max() + 1, features.shape[1]))
    np.add.at(sums, labels, features)
    return sums
