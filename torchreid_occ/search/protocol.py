"""What all collections of tracklets offer that can be searched by a feature, and their checks."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.tracklets import GalleryTracklet

Found = TypeVar("Found")
Cameras: TypeAlias = int | Collection[int] | None


def cameras_of(cameras: Cameras) -> list[int]:
    """Returns one camera, several, or none as a list.

    Args:
        cameras: The cameras.
    """
    if cameras is None:
        return []
    return [int(c) for c in cameras] if isinstance(cameras, Collection) else [int(cameras)]


class Judgement(NamedTuple):
    """Whether a match is the person searched for, by a calibration.

    Attributes:
        probability: That it is.
        verdict: 'same', 'different' or 'cannot tell'.
        false_matches: Of people who are not in the gallery, at most this share gets the verdict
            'same' for anybody in it.
        missed_matches: At most this share of the pairs of one person gets the verdict 'different'.
    """

    probability: float
    verdict: str
    false_matches: float
    missed_matches: float


class Match(NamedTuple):
    """A tracklet that a search found, with its cosine distance to the query.

    Attributes:
        id: Id of the tracklet.
        distance: The distance.
        tracklet: The tracklet.
        judged: Whether it is the same person, where a calibration tells.
    """

    id: int
    distance: float
    tracklet: GalleryTracklet
    judged: Judgement | None = None


class Searchable(Protocol):
    """Tracklets with features of one checkpoint, such as a `Gallery`."""

    @property
    def place(self) -> str:
        """Where the tracklets are, for messages, such as 'the gallery in my-gallery'."""

    def __len__(self) -> int:
        """Returns the number of tracklets."""

    def check_model(self, checkpoint_hash: str, feature_dim: int) -> None:
        """Checks that features are comparable with the stored ones.

        Args:
            checkpoint_hash: Hash of the checkpoint that the features come from.
            feature_dim: Length of a feature.

        Raises:
            ValueError: If the stored features come from another checkpoint; names both.
        """

    def search(
        self,
        feature: npt.NDArray[Any],
        checkpoint_hash: str,
        top: int = 10,
        other_than_camera: Cameras = None,
    ) -> list[Match]:
        """Finds the tracklets nearest by cosine distance, those equally near in gallery order.

        Args:
            feature: Feature of the query.
            checkpoint_hash: Hash of the checkpoint that the feature comes from.
            top: Number of tracklets to find; fewer where there are fewer.
            other_than_camera: Camera whose tracklets are excluded, or several.

        Shape:
            feature: ``(D,)``.

        Raises:
            ValueError: If the feature is of another model or not finite, or `top` is less than 1.
        """


class FeatureSource(Protocol):
    """Where an index that holds no features itself reads them, such as a `TrackletStore`."""

    def ids(self) -> npt.NDArray[np.int64]:
        """Returns all ids in ascending order. Shape: ``(N,)``."""

    def features_of(self, ids: Iterable[int]) -> Mapping[int, npt.NDArray[np.float32]]:
        """Returns the features of those ids that there are, of any norm, by id.

        Args:
            ids: The ids.
        """


def unit_features(features: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Scales features to unit length; those of zeros stay.

    Args:
        features: The features. Shape: ``(N, D)``.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.ascontiguousarray(features / np.maximum(lengths, 1e-12), np.float32)


def similarities_of(
    features: npt.NDArray[np.floating[Any]], feature: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float32]:
    """Returns the inner products of features with a query; those of equal features are equal.

    A product of matrices rounds equal rows differently. This sums each row alone.

    Args:
        features: The features.
        feature: The query.

    Shape:
        features: ``(N, D)``; feature: ``(D,)``; result: ``(N,)``.
    """
    products = features.astype(np.float64) * feature
    return products.sum(axis=1).astype(np.float32)


def nearest_first(
    ids: npt.NDArray[np.int64], similarities: npt.NDArray[np.float32], top: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Returns the ids and the cosine distances of the nearest; those equally near ordered by id.

    Args:
        ids: Ids in any order.
        similarities: Cosine similarities.
        top: Number of the nearest.

    Shape:
        ids, similarities: ``(N,)``; results: ``(min(N, top),)`` each.
    """
    # Rounding may make a similarity larger than 1; a distance is never below 0.
    distances = np.maximum(1 - similarities, np.float32(0))
    order = np.lexsort((ids, distances))[:top]
    return ids[order], distances[order]


def nearest_with_ties(
    fetch: Callable[[int], list[Found]], score: Callable[[Found], float], top: int, rounding: float
) -> list[Found]:
    """Returns at least the nearest of an engine, with all that are as near as the last of them.

    Args:
        fetch: Returns so many of the nearest, nearest first; fewer where there are fewer.
        score: Similarity of one of them.
        top: Number to find.
        rounding: Largest difference between the scores of equal features.
    """
    limit = top + 1
    while True:
        found = fetch(limit)
        if len(found) < limit or score(found[top - 1]) - score(found[-1]) > rounding:
            return found
        limit *= 2


def check_same_model(given: tuple[str, int], stored: tuple[str, int], place: str) -> None:
    """Checks that features are comparable with stored ones.

    Args:
        given: Checkpoint hash and length of the features.
        stored: Checkpoint hash and length of the stored features.
        place: Where those are stored, for the error.

    Raises:
        ValueError: If they differ; names both.
    """
    if given != stored:
        raise ValueError(
            f"The features are of checkpoint {given[0]} with {given[1]} values each, but {place} "
            f"has those of checkpoint {stored[0]} with {stored[1]}: use that checkpoint, or index "
            "anew into another place."
        )


def check_query(feature: npt.NDArray[Any], top: int) -> None:
    """Checks the arguments of a search.

    Args:
        feature: Feature of the query.
        top: Number of tracklets to find.

    Raises:
        ValueError: If the feature is not finite, or `top` is less than 1.
    """
    check_finite(feature)
    if top < 1:
        raise ValueError(f"Received top {top}, but expected to be at least 1.")


def check_finite(features: npt.NDArray[Any]) -> None:
    """Checks that no feature holds NaN or infinity.

    Args:
        features: Features of any shape.

    Raises:
        ValueError: If one does.
    """
    if not np.isfinite(features).all():
        raise ValueError("Some features are not finite: the model's weights have diverged.")


def name_taken(number: int, stored: GalleryTracklet, place: str) -> ValueError:
    """Returns the error for a name that other frames have.

    Args:
        number: Id of the tracklet that has the name.
        stored: That tracklet.
        place: Where it is stored.
    """
    return ValueError(
        f"{stored.name!r} is already in {place}, with the id {number} and other frames, the first "
        f"of which is {stored.frames[0]}: remove that tracklet, or give the new one another name. "
        "(Names of folders' tracklets begin with the folder that is indexed: the one above it "
        "makes others.)"
    )


def check_held(ids: Collection[int], held: Collection[int], place: str) -> None:
    """Checks that there are tracklets of some ids.

    Args:
        ids: The ids.
        held: Those of them that there are.
        place: Where the tracklets are, for the error.

    Raises:
        KeyError: If one is missing; names those.
    """
    unknown = sorted(set(ids) - set(held))
    if unknown:
        raise KeyError(f"{place} has no tracklets with the ids {unknown}: nothing was removed.")
