"""Nearest features by cosine distance, found by a Qdrant server exactly or by its graph (HNSW)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.graph import BREADTH_OF_SEARCH
from torchreid_occ.search.protocol import (
    nearest_first,
    nearest_with_ties,
    similarities_of,
    unit_features,
)
from torchreid_occ.search.qdrant import QdrantStore

_ROUNDING = 1e-6  # between the scores of equal vectors


class QdrantIndex:
    """Searches the features of a store by the server.

    Args:
        store: The store.
    """

    KINDS = ("exact", "hnsw")

    def __init__(self, store: QdrantStore) -> None:
        self._store, self._connection = store, store.connection

    def search(
        self, feature: npt.NDArray[np.floating[Any]], top: int, other_than_cameras: Sequence[int]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Finds the nearest features, those equally near ordered by id.

        Args:
            feature: Feature of the query.
            top: Number of features to find; fewer where there are fewer.
            other_than_cameras: Cameras whose tracklets are excluded.

        Returns:
            Ids and cosine distances, nearest first.

        Shape:
            feature: ``(D,)``; results: ``(N,)`` each.
        """
        (query,) = unit_features(feature[None])
        cameras = [int(camera) for camera in other_than_cameras]
        exact = self._store.about("kind") == "exact"
        points = nearest_with_ties(
            lambda limit: self._nearest(query, limit, cameras, exact),
            lambda point: float(point.score),
            top,
            _ROUNDING,
        )
        if not points:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        ids = np.array([point.id for point in points], np.int64)
        # The server's own scores of equal vectors may differ.
        similarities = similarities_of(np.array([point.vector for point in points]), query)
        return nearest_first(ids, similarities, top)

    def save(self) -> None:
        """Does nothing: the server keeps its graph up to date."""

    def discard(self) -> None:
        """Does nothing: the graph goes with the collection that an erasure replaces."""

    def _nearest(
        self, query: npt.NDArray[np.float32], limit: int, cameras: list[int], exact: bool
    ) -> list[Any]:
        """Returns the nearest points with their vectors, nearest first."""
        models = self._connection.models
        excluded = None
        if cameras:
            excluded = models.Filter(must_not=[self._connection.matching("camera", cameras)])
        breadth = max(BREADTH_OF_SEARCH, 2 * limit)
        found: list[Any] = self._connection(
            "query_points", self._connection.tracklets, query.tolist(),
            query_filter=excluded, limit=limit, with_payload=False, with_vectors=True,
            search_params=models.SearchParams(exact=exact, hnsw_ef=None if exact else breadth),
        ).points  # fmt: skip
        if len(found) < limit and not exact:  # the graph may have been left too early
            return self._nearest(query, limit, cameras, exact=True)
        return found
