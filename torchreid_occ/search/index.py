"""Nearest features by cosine distance, found by FAISS exactly or approximately."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.codes import FeatureCodes
from torchreid_occ.search.faiss_library import Writable, faiss, selector
from torchreid_occ.search.graph import FeatureGraph
from torchreid_occ.search.protocol import FeatureSource, nearest_first, unit_features

KINDS = ("exact", "hnsw", "codes")


class FeatureIndex:
    """Ids of features, found by the features' cosine similarity.

    Args:
        kind: 'exact' compares with all features; 'hnsw' searches a graph of them, which takes a
            fraction of the time and misses a few; 'codes' holds an eighth of each feature, for
            millions, and misses a few, too.
        feature_dim: Length of a feature.
        source: Where 'codes' reads features, which only that kind needs. Those that there are now
            decide how it arranges them.

    Raises:
        ValueError: If 'codes' has no source.
    """

    def __init__(self, kind: str, feature_dim: int, source: FeatureSource | None = None) -> None:
        self.kind = kind
        self._index: _Flat | FeatureGraph | FeatureCodes
        if kind == "codes":
            self._index = FeatureCodes(feature_dim, _given(source))
        else:
            self._index = _Flat(feature_dim) if kind == "exact" else FeatureGraph(feature_dim)

    @classmethod
    def read(cls, path: Path, kind: str, source: FeatureSource | None = None) -> "FeatureIndex":
        """Reads an index from a file.

        Args:
            path: File that `write` wrote.
            kind: Kind of the index in the file.
            source: Where 'codes' reads features.

        Raises:
            RuntimeError: If it is no such file.
            ValueError: If 'codes' has no source.
        """
        index = cls.__new__(cls)
        index.kind = kind
        if kind == "codes":
            index._index = FeatureCodes.read(path, _given(source))
        else:
            index._index = _Flat.read(path) if kind == "exact" else FeatureGraph.read(path)
        return index

    def write(self, file: Writable) -> None:
        """Writes the index to a binary file.

        Args:
            file: The open file.
        """
        self._index.write(file)

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """All ids in ascending order. Shape: ``(N,)``."""
        return self._index.ids

    def __len__(self) -> int:
        return len(self._index)

    @property
    def most(self) -> float:
        """Number of features up to which it is as fast, and as exact, as one made anew."""
        return self._index.most if isinstance(self._index, FeatureCodes) else np.inf

    @property
    def removes(self) -> bool:
        """Whether features can be removed; a graph is made anew without them."""
        return not isinstance(self._index, FeatureGraph)

    def remove(self, ids: npt.NDArray[np.int64]) -> None:
        """Removes features; unknown ids are ignored.

        Args:
            ids: The ids. Shape: ``(N,)``.

        Raises:
            NotImplementedError: If the index is a graph, see `removes`.
        """
        if isinstance(self._index, FeatureGraph):
            raise NotImplementedError("Features can't be removed from a graph.")
        self._index.remove(ids)

    def add(self, ids: npt.NDArray[np.int64], features: npt.NDArray[np.floating[Any]]) -> None:
        """Adds features under new ids.

        Args:
            ids: The ids.
            features: The features, of any norm.

        Shape:
            ids: ``(N,)``; features: ``(N, D)``.
        """
        self._index.add(unit_features(features), ids)

    def allow(self, ids: npt.NDArray[np.int64]) -> Any:
        """Makes what limits searches to some ids, which takes longer than a search.

        Args:
            ids: The ids. Shape: ``(N,)``.

        Returns:
            What `search` takes, until features are added.
        """
        return self._index.allow(ids)

    def search(
        self,
        feature: npt.NDArray[np.floating[Any]],
        top: int,
        allowed: Any = None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Finds the nearest features.

        Args:
            feature: Feature of the query.
            top: Number of features to find; fewer where there are fewer.
            allowed: What `allow` gave; all are searched if None.

        Returns:
            Ids and cosine distances, nearest first. Of equal distances the lower ids come first,
            also where not all of them are among the nearest.

        Shape:
            feature: ``(D,)``; results: ``(N,)`` each.
        """
        ids, similarities = self._index.nearest(unit_features(feature[None]), top, allowed)
        return nearest_first(ids, similarities, top)


class _Flat:
    """All features of unit length with ids, compared with a query one by one."""

    def __init__(self, feature_dim: int) -> None:
        self._index = faiss().IndexIDMap(faiss().IndexFlatIP(feature_dim))

    @classmethod
    def read(cls, path: Path) -> "_Flat":
        flat = cls.__new__(cls)
        flat._index = faiss().read_index(str(path))
        return flat

    def write(self, file: Writable) -> None:
        faiss().write_index(self._index, faiss().PyCallbackIOWriter(file.write))

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        ids: npt.NDArray[np.int64] = faiss().vector_to_array(self._index.id_map)
        return ids

    def __len__(self) -> int:
        return self._index.ntotal

    def add(self, features: npt.NDArray[np.float32], ids: npt.NDArray[np.int64]) -> None:
        self._index.add_with_ids(features, ids)

    def remove(self, ids: npt.NDArray[np.int64]) -> None:
        self._index.remove_ids(faiss().IDSelectorBatch(ids))

    def allow(self, ids: npt.NDArray[np.int64]) -> Any:
        return selector(ids)

    def nearest(
        self, feature: npt.NDArray[np.float32], top: int, allowed: Any
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Finds at least the nearest, with all that are as near as the last of them."""
        options = {} if allowed is None else {"sel": allowed}
        parameters = faiss().SearchParameters(**options)
        (similarities,), (ids,) = self._index.search(feature, top + 1, params=parameters)
        # FAISS keeps any of those that are equally near as the last one.
        if ids[top] >= 0 and similarities[top - 1] == similarities[top]:
            least = float(np.nextafter(similarities[top], np.float32(-2)))
            _, similarities, ids = self._index.range_search(feature, least, params=parameters)
        return ids[ids >= 0], similarities[ids >= 0]


def _given(source: FeatureSource | None) -> FeatureSource:
    if source is None:
        raise ValueError("An index of kind 'codes' needs a source of features.")
    return source
