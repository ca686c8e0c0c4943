"""The space in which calibrated features are compared.

What a camera does to all features is removed, which needs no labels, and what differs between the
tracklets of one person counts less, which is learned from the cohort's people.

Reference: Hatch et al., "Within-class covariance normalization for SVM-based speaker recognition"
(Interspeech 2006), with the covariance shrunk towards a multiple of the identity.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

_PRIOR = 10  # tracklets that the mean of many others counts as
_DIRECTIONS = 64
_SHRINKAGE = 3.0  # multiple of the mean variance that is added to each direction's


class CameraMeans(NamedTuple):
    """Mean features of unit length, of a gallery and of each of its cameras.

    Attributes:
        overall: That of the gallery, for unknown cameras. Shape ``(D,)``.
        of_camera: Those of its cameras, each of shape ``(D,)``.
    """

    overall: Floats
    of_camera: Mapping[int, Floats]

    def centre(self, features: Floats, cameras: npt.NDArray[np.int64]) -> Floats:
        """Removes the means from features.

        Args:
            features: Features of any norm.
            cameras: Their cameras.

        Shape:
            features: ``(N, D)``; cameras: ``(N,)``; result: ``(N, D)``, of unit length.
        """
        moved = unit(features).copy()
        for camera in np.unique(cameras).tolist():
            moved[cameras == camera] -= self.of_camera.get(camera, self.overall)
        return unit(moved)


def unit(features: Floats) -> Floats:
    """Scales features to unit length.

    Args:
        features: Features of any norm. Shape: ``(N, D)``.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-12)


def camera_means(features: Floats, cameras: npt.NDArray[np.int64], mean: Floats) -> CameraMeans:
    """Returns the means of a gallery and its cameras.

    Where a camera has few tracklets, its mean is drawn towards that of the gallery, and where that
    has few, towards a given one.

    Args:
        features: Features of any norm.
        cameras: Their cameras.
        mean: Mean of other features of unit length.

    Shape:
        features: ``(N, D)``; cameras: ``(N,)``; mean: ``(D,)``.
    """
    own = unit(features)
    overall = _drawn(own, mean)
    cameras_there = np.unique(cameras).tolist()
    return CameraMeans(overall, {c: _drawn(own[cameras == c], overall) for c in cameras_there})


def variation(features: Floats, pids: npt.NDArray[np.int64]) -> Floats:
    """Returns the directions in which features of one person vary most.

    A direction is as long as the root of the share of a feature that is removed along it, so that
    ``x - v @ x @ v`` scales each direction by the inverse of its deviation.

    Args:
        features: Features of unit length.
        pids: Their identities.

    Shape:
        features: ``(N, D)``; pids: ``(N,)``; result: ``(R, D)``; R is 0 if nobody has two
        tracklets.
    """
    _, person, counts = np.unique(pids, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), features.shape[1]))
    np.add.at(sums, person, features)
    apart = (features - (sums / counts[:, None])[person])[counts[person] > 1]
    if not apart.any():
        return np.zeros((0, features.shape[1]), np.float32)
    variances, directions = np.linalg.eigh(apart.T @ apart / len(apart))
    largest = variances.argsort()[::-1][:_DIRECTIONS]
    added = _SHRINKAGE * variances.clip(0).mean()
    removed = 1 - 1 / np.sqrt(1 + variances[largest].clip(0) / added)
    found: Floats = (directions[:, largest] * np.sqrt(removed)).T.astype(np.float32)
    return found


def without_variation(features: Floats, directions: Floats) -> Floats:
    """Scales the directions of `variation` in features.

    Args:
        features: Features of unit length.
        directions: From `variation`.

    Shape:
        features: ``(N, D)``; directions: ``(R, D)``; result: ``(N, D)``, of unit length.
    """
    return unit(features - features @ directions.T @ directions)


def _drawn(features: Floats, mean: Floats) -> Floats:
    """Returns the mean of features, drawn towards another one where they are few."""
    drawn: Floats = (features.sum(axis=0) + _PRIOR * mean) / (len(features) + _PRIOR)
    return drawn
