"""Galleries in a collection of Qdrant, a vector engine that runs on several machines.

Several galleries, each filled on its own machine, may share a collection: the id of a point is
derived from the gallery's uuid and the id of the tracklet there. A collection is searched
(`Searchable`) and follows its galleries; it is not changed by itself, as Qdrant has neither
transactions nor locks, on which "all or none" and ids that are never used twice rest.
"""

from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.protocol import (
    Cameras,
    Match,
    cameras_of,
    check_query,
    check_same_model,
    nearest_with_ties,
    similarities_of,
)
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.progress import progress

BLOCK = 256  # points received at a time
_ROUNDING = 1e-6  # between the scores of equal vectors


class QdrantCollection:
    """Tracklets of galleries in a collection, which is searched like a `Gallery`.

    Args:
        client: A ``qdrant_client.QdrantClient``, of a server or of Qdrant's embedded form.
        name: Name of the collection, which is created when a gallery is first mirrored.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name
        self._models = _qdrant().models

    @classmethod
    def at(cls, url: str, name: str) -> "QdrantCollection":
        """Connects to a collection of a server.

        Args:
            url: URL of the server, such as ``http://localhost:6333``.
            name: Name of the collection.

        Raises:
            ConnectionError: If no server answers there.
        """
        client = _qdrant().QdrantClient(url=url, check_compatibility=False)
        try:
            client.collection_exists(name)
        except _qdrant().http.exceptions.ApiException as error:
            raise ConnectionError(f"No Qdrant server answers at {url}: {error}.") from error
        return cls(client, name)

    @property
    def place(self) -> str:
        """Name of the collection, for messages."""
        return f"the collection {self._name}"

    def __len__(self) -> int:
        return int(self._client.count(self._name).count)

    def mirror(self, gallery: Gallery) -> tuple[int, int]:
        """Updates the points of a gallery to its tracklets; those of other galleries stay.

        Args:
            gallery: The gallery.

        Returns:
            The numbers of points added, or renewed as their frames have moved, and removed.

        Raises:
            ValueError: If the collection has features of another checkpoint.
        """
        if not self._client.collection_exists(self._name):
            self._client.create_collection(
                self._name,
                vectors_config=self._models.VectorParams(
                    size=gallery.feature_dim, distance=self._models.Distance.COSINE
                ),
                metadata={"checkpoint_hash": gallery.checkpoint_hash},
            )
        self.check_model(gallery.checkpoint_hash, gallery.feature_dim)
        held = {number: _state(tracklet) for number, tracklet in gallery.tracklets()}
        sent = self._sent(gallery)
        missing = {number for number, state in held.items() if sent.get(number) != state}
        gone = sent.keys() - held.keys()
        points = (
            self._models.PointStruct(
                id=_point_id(gallery, number),
                vector=feature.tolist(),
                payload={
                    "gallery": gallery.uuid,
                    "id": number,
                    "state": _state(tracklet),
                    **tracklet._asdict(),
                },
            )
            for number, tracklet, feature in gallery.entries()
            if number in missing
        )
        sending = progress(points, "sending", len(missing), "tracklet")
        self._client.upload_points(self._name, sending, wait=True)
        if gone:
            self._client.delete(self._name, [_point_id(gallery, number) for number in gone])
        return len(missing), len(gone)

    def check_model(self, checkpoint_hash: str, feature_dim: int) -> None:
        """Checks that features are comparable with the stored ones.

        Args:
            checkpoint_hash: Hash of the checkpoint that the features come from.
            feature_dim: Length of a feature.

        Raises:
            ValueError: If the stored features come from another checkpoint; names both.
        """
        config = self._client.get_collection(self._name).config
        stored = config.metadata["checkpoint_hash"], config.params.vectors.size
        check_same_model((checkpoint_hash, feature_dim), stored, self.place)

    def search(
        self,
        feature: npt.NDArray[np.floating[Any]],
        checkpoint_hash: str,
        top: int = 10,
        other_than_camera: Cameras = None,
    ) -> list[Match]:
        """Finds the tracklets nearest by cosine distance, over all mirrored galleries.

        Those equally near are ordered by id, as in a gallery, and then by gallery.

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
        feature = np.asarray(feature)
        self.check_model(checkpoint_hash, len(feature))
        check_query(feature, top)
        excluded = None
        cameras = cameras_of(other_than_camera)
        if cameras:
            excluded = self._models.Filter(must_not=[self._with("camera", c) for c in cameras])

        def fetch(limit: int) -> list[Any]:
            found: list[Any] = self._client.query_points(
                self._name,
                feature,
                query_filter=excluded,
                limit=limit,
                with_payload=True,
                with_vectors=True,
            ).points
            return found

        points = nearest_with_ties(fetch, lambda point: point.score, top, _ROUNDING)
        if not points:
            return []
        unit = feature / max(float(np.linalg.norm(feature)), 1e-12)
        # Qdrant's own scores of equal vectors may differ.
        similarities = similarities_of(np.array([point.vector for point in points]), unit)
        distances = np.maximum(1 - similarities, np.float32(0)).tolist()
        ranked = sorted(zip(distances, points, strict=True), key=_by_distance_and_id)
        return [_match(distance, point) for distance, point in ranked[:top]]

    def _sent(self, gallery: Gallery) -> dict[int, str | None]:
        """Returns the ids of a gallery's tracklets that the collection holds, and their states."""
        states: dict[int, str | None] = {}
        following = None
        chosen = self._models.Filter(must=[self._with("gallery", gallery.uuid)])
        while True:
            points, following = self._client.scroll(
                self._name, chosen, limit=BLOCK, offset=following, with_payload=["id", "state"]
            )
            states |= {point.payload["id"]: point.payload.get("state") for point in points}
            if following is None:
                return states

    def _with(self, key: str, value: str | int) -> Any:
        return self._models.FieldCondition(key=key, match=self._models.MatchValue(value=value))


def _point_id(gallery: Gallery, number: int) -> str:
    return str(uuid5(UUID(gallery.uuid), str(number)))


def _state(tracklet: GalleryTracklet) -> str:
    """Returns a value that differs when anything of a tracklet has changed."""
    return sha256(repr(tracklet).encode()).hexdigest()[:16]


def _by_distance_and_id(ranked: tuple[float, Any]) -> tuple[float, int, str]:
    distance, point = ranked
    return distance, point.payload["id"], point.payload["gallery"]


def _match(distance: float, point: Any) -> Match:
    payload = point.payload
    tracklet = GalleryTracklet(**{field: payload.get(field) for field in GalleryTracklet._fields})
    tracklet = tracklet._replace(frames=tuple(tracklet.frames))
    return Match(payload["id"], distance, tracklet)


@cache
def _qdrant() -> Any:
    (qdrant_client,) = import_optional("qdrant_client", extra="qdrant")
    return qdrant_client
