"""Nearest features by cosine distance, found by pgvector exactly or by its graph (HNSW)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.graph import BREADTH_OF_ADDING, BREADTH_OF_SEARCH, LINKS
from torchreid_occ.search.postgres import PostgresStore
from torchreid_occ.search.protocol import (
    nearest_first,
    nearest_with_ties,
    similarities_of,
    unit_features,
)

_LONGEST, _LONGEST_HALF = 2000, 4000  # features that a graph takes: of 32 bits, of 16 bits
_MOST = 1000  # candidates that pgvector keeps, "hnsw.ef_search"
_ROUNDING, _ROUNDING_HALF = 1e-6, 2e-3  # between the scores of equal features


class PostgresIndex:
    """Searches the features of a store by the server.

    Args:
        store: The store.
    """

    KINDS = ("exact", "hnsw")

    def __init__(self, store: PostgresStore) -> None:
        self._store, self._connection = store, store.connection
        self._half = store.about("feature_dim") > _LONGEST

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
        cameras = [*other_than_cameras]
        graph = self._store.about("kind") == "hnsw"
        rows = nearest_with_ties(
            lambda limit: self._nearest(query, limit, cameras, graph),
            lambda row: -row[2],
            top,
            _ROUNDING_HALF if graph and self._half else _ROUNDING,
        )
        if not rows:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        ids = np.array([number for number, *_ in rows], np.int64)
        features = np.stack([found.to_numpy() for _, found, _ in rows])
        return nearest_first(ids, similarities_of(features, query), top)

    def save(self) -> None:
        """Builds the graph, if the gallery's kind is 'hnsw', or drops it.

        Raises:
            ValueError: If features are too long for a graph.
        """
        wanted = self._store.about("kind") == "hnsw"
        dim = self._store.about("feature_dim")
        if wanted and dim > _LONGEST_HALF:
            raise ValueError(
                f"A graph of pgvector takes features of at most {_LONGEST_HALF} values, but these "
                f"have {dim}: choose the kind 'exact'."
            )
        with self._connection.unhurried(), self._store.transaction():
            ((there,),) = self._connection.rows("SELECT to_regclass('nearest') IS NOT NULL")
            if there and not wanted:
                self._connection.rows("DROP INDEX nearest")
            if wanted and not there:
                operators = "halfvec_ip_ops" if self._half else "vector_ip_ops"
                self._connection.rows(
                    f"CREATE INDEX nearest ON tracklets USING hnsw (({self._column()}) "
                    f"{operators}) WITH (m = {LINKS}, ef_construction = {BREADTH_OF_ADDING})"
                )

    def discard(self) -> None:
        """Does nothing: the server keeps its graph up to date and rewrites it with the table."""

    def _column(self, graph: bool = True) -> str:
        halved = graph and self._half
        return f"feature::halfvec({self._store.about('feature_dim')})" if halved else "feature"

    def _nearest(
        self, query: npt.NDArray[np.float32], limit: int, cameras: list[int], graph: bool
    ) -> list[Any]:
        """Returns ids, features and negative similarities of the nearest, nearest first."""
        column = self._column(graph)
        kind = "halfvec" if column != "feature" else "vector"
        distance = f"({column} <#> %s::vector::{kind})"
        chosen = " WHERE camera IS NULL OR camera <> ALL(%s::int4[])" if cameras else ""
        values = (query, cameras, query, limit) if cameras else (query, query, limit)
        with self._connection.transaction(lock=None):
            self._connection.rows(
                # The graph's candidates go through the filter, and more are fetched until enough
                # are left; off by default.
                "SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), "
                "set_config('hnsw.ef_search', %s, true), set_config('enable_indexscan', %s, true)",
                str(min(max(BREADTH_OF_SEARCH, 2 * limit), _MOST)),
                "on" if graph else "off",
            )
            rows = self._connection.rows(
                f"SELECT id, feature, {distance} FROM tracklets{chosen} ORDER BY {distance} "
                "LIMIT %s",
                *values,
            )
        if graph and len(rows) < limit:  # the scan was ended, by hnsw.max_scan_tuples
            return self._nearest(query, limit, cameras, graph=False)
        return sorted(rows, key=lambda row: row[2])
