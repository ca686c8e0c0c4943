"""The index that finds the nearest features by cosine distance: FAISS's, exact or approximate."""

from functools import cache
from pathlib import Path

import numpy as np

from torchreid_occ.utils.dependencies import import_optional

KINDS = ("exact", "hnsw")
LINKS = 16  # of a node of the graph, "M" of Malkov and Yashunin (TPAMI 2020)
BREADTH_OF_ADDING, BREADTH_OF_SEARCH = 40, 512  # candidates kept, "efConstruction" and "efSearch"


class FeatureIndex:
    """Ids of features, found by the features' cosine similarity.

    Args:
        kind: 'exact' compares with all features; 'hnsw' walks a graph of them, which takes a
            fraction of the time and misses a few.
        feature_dim: Length of a feature.
    """

    def __init__(self, kind: str, feature_dim: int):
        self.kind, faiss = kind, _faiss()
        if kind == "exact":
            inner = faiss.IndexFlatIP(feature_dim)
        else:
            inner = faiss.IndexHNSWFlat(feature_dim, LINKS, faiss.METRIC_INNER_PRODUCT)
            inner.hnsw.efConstruction = BREADTH_OF_ADDING
        self._index = faiss.IndexIDMap(inner)

    @classmethod
    def read(cls, path: Path, kind: str):
        """An index that `write` wrote."""
        index = cls.__new__(cls)
        index.kind = kind
        index._index = _faiss().read_index(str(path))
        return index

    def write(self, file):
        """Writes the index to a binary file."""
        faiss = _faiss()
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))

    @property
    def ids(self) -> np.ndarray:
        """All ids, in the order they were added."""
        return _faiss().vector_to_array(self._index.id_map)

    def add(self, ids: np.ndarray, features: np.ndarray):
        """Adds features under ids that are new.

        Args:
            ids: Their ids.
            features: The features, of any length.

        Shape:
            ids: ``(N,)``; features: ``(N, D)``.
        """
        self._index.add_with_ids(_unit(features), ids)

    def search(self, feature: np.ndarray, top: int, allowed: np.ndarray | None = None):
        """Finds the nearest features.

        Args:
            feature: What they are near to.
            top: How many; fewer where there are not so many.
            allowed: Ids to choose among; None for all.

        Returns:
            Their ids and cosine distances, nearest first; of equally near ones, the lower id first.

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
        ids, distances = ids[0][found], 1 - similarities[0][found]
        order = np.lexsort((ids, distances))
        return ids[order], distances[order]


@cache
def _faiss():
    (faiss,) = import_optional("faiss", extra="search")
    return faiss


def _unit(features):
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.ascontiguousarray(features / np.maximum(lengths, 1e-12), np.float32)


def _bits(ids):
    chosen = np.zeros(int(ids.max(initial=0)) + 1, bool)
    chosen[ids] = True
    return np.packbits(chosen, bitorder="little")
