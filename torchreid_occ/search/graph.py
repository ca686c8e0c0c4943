"""A graph of features (HNSW), searched approximately, in which near-equal ones share a node.

FAISS's graph loses features when others repeat: 600 equal or nearly equal ones among 3,000 fill
each other's lists of neighbours, and up to a quarter of the others is not found any more. So a
feature within `NEAR` of one in the graph is stored beside it, and found with it.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.faiss_library import Writable, faiss, selector
from torchreid_occ.search.protocol import similarities_of

LINKS = 16  # of a node of the graph, "M" of Malkov and Yashunin (TPAMI 2020)
BREADTH_OF_ADDING, BREADTH_OF_SEARCH = 40, 512  # candidates kept, "efConstruction" and "efSearch"
BREADTH_OF_LOOKING = 16  # for a node that a new feature may share
NEAR = 1e-6  # cosine distance up to which features share a node; from 1e-5 on none are lost
_SLACK = 3e-3  # similarities to features of one node differ by less: sqrt(2 * NEAR), twice
_FEW = 10_000  # so many allowed features are compared with the query one by one
_BLOCK = 512  # features added, and compared with one another, at a time
_READ = 4096  # features compared with a query at a time


class Allowed(NamedTuple):
    """What a search is limited to.

    Attributes:
        places: Whether each feature may be found, in the order in which they were added.
        total: Number of those.
        nodes: FAISS's selector of their nodes.
    """

    places: npt.NDArray[np.bool_]
    total: int
    nodes: Any


class FeatureGraph:
    """Features of unit length with ids, found by their inner product.

    Args:
        feature_dim: Length of a feature.
    """

    def __init__(self, feature_dim: int) -> None:
        self._graph = faiss().IndexHNSWFlat(feature_dim, LINKS, faiss().METRIC_INNER_PRODUCT)
        self._graph.hnsw.efConstruction = BREADTH_OF_ADDING
        self._beside = faiss().IndexFlatIP(feature_dim)  # features that share a node
        self.ids = np.empty(0, np.int64)
        self._node = np.empty(0, np.int64)  # of each feature
        self._row = np.empty(0, np.int64)  # in `_beside`; -1 if it is the node's own
        self._by_node: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None

    @classmethod
    def read(cls, path: Path) -> "FeatureGraph":
        """Reads a graph from a file.

        Args:
            path: File that `write` wrote.

        Raises:
            RuntimeError: If it is no such file.
        """
        graph = cls.__new__(cls)
        with path.open("rb") as file:
            graph._graph = faiss().read_index(faiss().PyCallbackIOReader(file.read))
            if not isinstance(graph._graph, faiss().IndexHNSWFlat):
                raise RuntimeError("an earlier version wrote it, which lost features")
            graph._beside = faiss().read_index(faiss().PyCallbackIOReader(file.read))
            graph.ids, graph._node, graph._row = (np.load(file) for _ in range(3))
        graph._by_node = None
        return graph

    def write(self, file: Writable) -> None:
        """Writes the graph to a binary file.

        Args:
            file: The open file.
        """
        for index in (self._graph, self._beside):
            faiss().write_index(index, faiss().PyCallbackIOWriter(file.write))
        for array in (self.ids, self._node, self._row):
            np.lib.format.write_array(file, array)

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, features: npt.NDArray[np.float32], ids: npt.NDArray[np.int64]) -> None:
        """Adds features.

        Args:
            features: The features.
            ids: Their ids.

        Shape:
            features: ``(N, D)``; ids: ``(N,)``.
        """
        nodes, rows = [self._node], [self._row]
        for start in range(0, len(features), _BLOCK):
            node, row = self._add_block(features[start : start + _BLOCK])
            nodes.append(node)
            rows.append(row)
        self._node, self._row = np.concatenate(nodes), np.concatenate(rows)
        self.ids = np.concatenate([self.ids, ids])
        self._by_node = None

    def allow(self, ids: npt.NDArray[np.int64]) -> Allowed:
        """Makes what limits searches to some ids, until features are added.

        Args:
            ids: The ids. Shape: ``(N,)``.
        """
        places = np.isin(self.ids, ids)
        return Allowed(places, int(places.sum()), selector(self._node[places]))

    def nearest(
        self, feature: npt.NDArray[np.float32], top: int, allowed: Allowed | None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Finds at least the nearest features, in no order.

        Args:
            feature: The query.
            top: Number of features to find; fewer where there are fewer.
            allowed: What `allow` gave; all are searched if None.

        Returns:
            Ids and similarities.

        Shape:
            feature: ``(1, D)``; results: ``(N,)`` each.
        """
        count = len(self) if allowed is None else allowed.total
        if allowed is None or count > _FEW:
            found = self._near(feature, top, allowed)
            # A search of the graph ends before a filter has let enough through.
            if len(found) >= min(top, count):
                return self.ids[found], self._similarities(found, feature[0])
        places = np.arange(len(self)) if allowed is None else np.flatnonzero(allowed.places)
        return self.ids[places], self._similarities(places, feature[0])

    def _near(
        self, feature: npt.NDArray[np.float32], top: int, allowed: Allowed | None
    ) -> npt.NDArray[np.int64]:
        """Returns the places of the allowed features of the nodes that may hold the nearest."""
        breadth = max(BREADTH_OF_SEARCH, 2 * top)
        options = {} if allowed is None else {"sel": allowed.nodes}
        parameters = faiss().SearchParametersHNSW(efSearch=breadth, **options)
        (similarities,), (nodes,) = self._graph.search(feature, breadth, params=parameters)
        nodes, similarities = nodes[nodes >= 0], similarities[nodes >= 0]
        nodes = nodes[similarities >= similarities[:top].min(initial=np.inf) - _SLACK]
        if self._by_node is None:
            order = np.argsort(self._node, kind="stable")
            self._by_node = order, self._node[order]
        order, grouped = self._by_node
        first = np.searchsorted(grouped, nodes)
        last = np.searchsorted(grouped, nodes, side="right")
        spans = [order[a:b] for a, b in zip(first, last, strict=True)]
        places = np.concatenate([np.empty(0, np.int64), *spans])
        return places if allowed is None else places[allowed.places[places]]

    def _similarities(
        self, places: npt.NDArray[np.int64], feature: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Returns the similarities of the features at some places."""
        results = [np.empty(0, np.float32)]
        for start in range(0, len(places), _READ):
            part = places[start : start + _READ]
            own = self._row[part] < 0
            features = np.empty((len(part), len(feature)), np.float32)
            features[own] = self._graph.reconstruct_batch(self._node[part[own]])
            features[~own] = self._beside.reconstruct_batch(self._row[part[~own]])
            results.append(similarities_of(features, feature))
        return np.concatenate(results)

    def _add_block(
        self, features: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Adds features and returns their nodes and rows."""
        nodes = self._nodes_near(features)
        new = np.flatnonzero(nodes < 0)
        near = features[new] @ features[new].T >= 1 - NEAR
        shares = nodes >= 0
        count = self._graph.ntotal
        for place in range(len(new)):
            if nodes[new[place]] >= 0:
                continue
            group = new[place:][near[place, place:] & (nodes[new[place:]] < 0)]
            nodes[new[place]] = count
            nodes[group] = count
            shares[group] = group != new[place]
            count += 1
        rows = np.full(len(features), -1, np.int64)
        rows[shares] = self._beside.ntotal + np.arange(shares.sum())
        self._graph.add(features[~shares])
        self._beside.add(features[shares])
        return nodes, rows

    def _nodes_near(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Returns the node within `NEAR` of each feature, or -1."""
        parameters = faiss().SearchParametersHNSW(efSearch=BREADTH_OF_LOOKING)
        similarities, nodes = self._graph.search(features, 1, params=parameters)
        return np.where(similarities[:, 0] >= 1 - NEAR, nodes[:, 0], -1)
