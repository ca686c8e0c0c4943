"""Nearest features by cosine distance, found by FAISS exactly or approximately."""

from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from torchreid_occ.utils.dependencies import import_optional

KINDS = ("exact", "hnsw")
LINKS = 16  # of a node of the graph, "M" of Malkov and Yashunin (TPAMI 2020)
BREADTH_OF_ADDING, BREADTH_OF_SEARCH = 40, 512  # candidates kept, "efConstruction" and "efSearch"


class Writable(Protocol):
    """What an index is written to, such as a binary file."""

    def write(self, data: bytes, /) -> Any:
        """Appends bytes."""


class FeatureIndex:
    """Ids of features, found by the features' cosine similarity.

    Args:
        kind: 'exact' compares with all features; 'hnsw' searches a graph of them, which takes a
            fraction of the time and misses a few.
        feature_dim: Length of a feature.
    """

    def __init__(self, kind: str, feature_dim: int) -> None:
        faiss = _faiss()
        if kind == "exact":
            inner = faiss.IndexFlatIP(feature_dim)
        else:
            inner = faiss.IndexHNSWFlat(feature_dim, LINKS, faiss.METRIC_INNER_PRODUCT)
            inner.hnsw.efConstruction = BREADTH_OF_ADDING
        self.kind = kind
        self._index = faiss.IndexIDMap(inner)

    @classmethod
    def read(cls, path: Path, kind: str) -> "FeatureIndex":
        """Reads an index from a file.

        Args:
            path: File that `write` wrote.
            kind: Kind of the index in the file.
        """
        index = cls.__new__(cls)
        index.kind = kind
        index._index = _faiss().read_index(str(path))
        return index

    def write(self, file: Writable) -> None:
        """Writes the index to a binary file.

        Args:
            file: The open file.
        """
        faiss = _faiss()
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """All ids, in the order in which they were added. Shape: ``(N,)``."""
        return _faiss().vector_to_array(self._index.id_map)

    def add(self, ids: npt.NDArray[np.int64], features: npt.NDArray[np.floating[Any]]) -> None:
        """Adds features under new ids.

        Args:
            ids: The ids.
            features: The features, of any norm.

        Shape:
            ids: ``(N,)``; features: ``(N, D)``.
        """
        self._index.add_with_ids(_unit(features), ids)

    def search(
        self,
        feature: npt.NDArray[np.floating[Any]],
        top: int,
        allowed: npt.NDArray[np.int64] | None = None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Finds the nearest features.

        Args:
            feature: Feature of the query.
            top: Number of features to find; fewer where there are fewer.
            allowed: Ids to search; all if None.

        Returns:
            Ids and cosine distances, nearest first; equal distances are ordered by id.

        Shape:
            feature: ``(D,)``; results: ``(N,)`` each.
        """
        faiss = _faiss()
        options = {} if allowed is None else {"sel": faiss.IDSelectorBitmap(_bits(allowed))}
        if self.kind == "exact":
            parameters = faiss.SearchParameters(**options)
        else:
            breadth = max(BREADTH_OF_SEARCH, 2 * top)
            parameters = faiss.SearchParametersHNSW(efSearch=breadth, **options)
        similarities, ids = self._index.search(_unit(feature[None]), top, params=parameters)
        found = ids[0] >= 0
        # Rounding may make a similarity larger than 1; a distance is never below 0.
        ids, distances = ids[0][found], np.maximum(1 - similarities[0][found], np.float32(0))
        order = np.lexsort((ids, distances))
        return ids[order], distances[order]


@cache
def _faiss() -> Any:
    (faiss,) = import_optional("faiss", extra="search")
    return faiss


def _unit(features: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Scales features to unit length."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.ascontiguousarray(features / np.maximum(lengths, 1e-12), np.float32)


def _bits(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Returns a bitmap of ids, lowest bit first."""
    chosen = np.zeros(int(ids.max(initial=0)) + 1, bool)
    chosen[ids] = True
    return np.packbits(chosen, bitorder="little")
