"""CMC and mAP straight from features, for galleries whose distances do not fit into memory."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from torchreid_occ.metrics.rank import QueryRanks
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.progress import progress

Ints: TypeAlias = npt.NDArray[np.int64]
Features: TypeAlias = Tensor | npt.NDArray[np.floating[Any]]

DIST_METRICS = ("cosine", "euclidean")
BLOCK = (1024, 16384)  # queries and gallery items whose distances are in memory at a time
MIN_ROWS = 16  # queries in a product, so that it is always a product of matrices


def rank_features(
    query: Features,
    gallery: Features,
    q_pids: npt.ArrayLike,
    g_pids: npt.ArrayLike,
    q_camids: npt.ArrayLike,
    g_camids: npt.ArrayLike,
    dist_metric: str = "euclidean",
    max_rank: int = 50,
    block: tuple[int, int] = BLOCK,
) -> QueryRanks:
    """Ranks the gallery for each query as `rank_queries` does, block by block.

    Of equal distances the item of lower gallery index comes first. Beside the features, memory
    holds a few blocks of distances. Products are computed on the queries' device.

    Args:
        query: Features of the queries.
        gallery: Features of the gallery; a tensor or an array, which may be mapped from a file.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.
        dist_metric: 'cosine' or 'euclidean' (squared), as torchreid computes them.
        max_rank: Ranks of the CMC; fewer if the gallery has fewer items.
        block: Queries and gallery items whose distances are in memory at a time.

    Shape:
        query: (Q, D); gallery: (G, D); q_pids, q_camids: (Q,); g_pids, g_camids: (G,).

    Raises:
        ValueError: If the metric is unknown, shapes do not match, or a feature is
            not finite.
    """
    of_query = _Labels(np.asarray(q_pids), np.asarray(q_camids))
    of_gallery = _Labels(np.asarray(g_pids), np.asarray(g_camids))
    query = torch.as_tensor(query)
    _check(query, gallery, of_query, of_gallery, dist_metric)
    blocks = _ByIdentity(gallery, of_gallery, dist_metric, block[1], query.device)
    max_rank = min(max_rank, len(of_gallery.pids))
    # Queries of one identity share the blocks of their matches.
    queries = np.argsort(of_query.pids, kind="stable")
    found = []
    for start in progress(range(0, len(queries), block[0]), "ranking", unit="block"):
        chosen = queries[start : start + block[0]]
        own = _Own(blocks, of_query.pids[chosen], of_query.camids[chosen])
        features = _prepared(query[torch.from_numpy(chosen)].float(), dist_metric)
        ranks, counts = own.ranks(blocks, features)
        found.append(_summary(chosen, ranks, counts, max_rank))
    parts = [np.concatenate(part) for part in zip(*found, strict=True)]
    order = np.argsort(parts[0])
    return QueryRanks(*(part[order] for part in parts))


class _Labels(NamedTuple):
    """Identities and cameras of some items."""

    pids: Ints
    camids: Ints


class _ByIdentity:
    """The gallery in the order of its identities, in blocks."""

    def __init__(
        self,
        features: Features,
        labels: _Labels,
        dist_metric: str,
        size: int,
        device: torch.device,
    ) -> None:
        pids, camids = labels
        self.features, self.dist_metric, self.device = features, dist_metric, device
        self.order = np.argsort(pids, kind="stable")
        self.pids, self.camids = pids[self.order], camids[self.order]
        self.size = max(1, min(size, len(pids)))
        self.starts = range(0, len(pids), self.size)

    def distances(self, start: int, query: Tensor) -> tuple[Ints, npt.NDArray[np.float32]]:
        """Returns the indices of a block's items and their distances, `(Q, block)`.

        The distances are an array, as NumPy sorts fastest. All products are of matrices of one
        size: a shorter last block or a single query would round differently and break ties.
        """
        index = self.order[start : start + self.size]
        items = torch.as_tensor(self.features[index]).to(self.device, torch.float32)
        if not torch.isfinite(items).all():
            raise ValueError("Some gallery features are not finite.")
        items = _lengthened(_prepared(items, self.dist_metric), self.size)
        rows = len(query)
        query = _lengthened(query, MIN_ROWS)
        if self.dist_metric == "cosine":
            found = 1 - query @ items.T
        else:
            squares = query.square().sum(1, keepdim=True) + items.square().sum(1)
            found = torch.addmm(squares, query, items.T, alpha=-2)
        return index, found[:rows, : len(index)].cpu().numpy()


class _Own:
    """The gallery items of each query's identity, `(Q, W)`; W is their largest number."""

    def __init__(self, gallery: _ByIdentity, pids: Ints, camids: Ints) -> None:
        self.first = np.searchsorted(gallery.pids, pids)
        self.number = np.searchsorted(gallery.pids, pids, side="right") - self.first
        columns = np.arange(max(1, self.number.max()))
        self.exists = columns < self.number[:, None]
        self.places = np.where(self.exists, self.first[:, None] + columns, 0)
        self.matches = self.exists & (gallery.camids[self.places] != camids[:, None])
        self.index = gallery.order[self.places]

    def ranks(self, gallery: _ByIdentity, query: Tensor) -> tuple[npt.NDArray[np.float64], Ints]:
        """Returns the ascending ranks of the matches from 0, padded by infinity; their number."""
        distances = self._distances(gallery, query)
        order = np.argsort(distances, axis=1, kind="stable")
        parts = (distances, self.index, self.matches, self.places, self.exists)
        distances, index, matches, places, exists = (
            np.take_along_axis(part, order, axis=1) for part in parts
        )
        ahead = np.zeros(distances.shape, np.int64)
        for start in gallery.starts:
            items, block = gallery.distances(start, query)
            ordered = torch.from_numpy(np.sort(block, axis=1))
            sought = torch.from_numpy(distances)
            first = torch.searchsorted(ordered, sought).numpy()
            tied = torch.searchsorted(ordered, sought, right=True).numpy() - first
            ahead += first
            # An own item of this block is tied with itself; ties are ordered by index.
            tied -= (places >= start) & (places < start + gallery.size)
            for row, column in np.argwhere(tied > 0):
                equal = block[row] == distances[row, column]
                ahead[row, column] += np.count_nonzero(items[equal] < index[row, column])
        left_out = np.cumsum(~matches & exists, axis=1)
        ranks = np.where(matches, ahead - left_out, np.inf)
        return np.sort(ranks, axis=1), matches.sum(1)

    def _distances(self, gallery: _ByIdentity, query: Tensor) -> npt.NDArray[np.float32]:
        """Returns the distances of the own items, infinite where there is none.

        They come from the same blocks as all others, as products of other sizes round differently
        and would break ties.
        """
        found = np.full(self.places.shape, np.inf, np.float32)
        last = (self.first + self.number).max()
        for start in gallery.starts:
            stop = start + gallery.size
            if stop <= self.first.min() or start >= last:
                continue
            _, block = gallery.distances(start, query)
            row, column = np.nonzero(self.exists & (self.places >= start) & (self.places < stop))
            found[row, column] = block[row, self.places[row, column] - start]
        return found


def _summary(
    chosen: Ints, ranks: npt.NDArray[np.float64], counts: Ints, max_rank: int
) -> QueryRanks:
    """Returns the ranks of the queries that have a match."""
    valid = counts > 0
    ranks, counts = ranks[valid], counts[valid]
    precision = np.arange(1, ranks.shape[1] + 1) / (ranks + 1)  # 0 at infinite ranks
    curves = np.arange(max_rank) >= ranks[:, :1]
    last = np.take_along_axis(ranks, counts[:, None] - 1, axis=1)[:, 0]
    return QueryRanks(
        chosen[valid], precision.sum(1) / counts, curves.astype(np.float32), counts / (last + 1)
    )


def _lengthened(features: Tensor, rows: int) -> Tensor:
    return F.pad(features, (0, 0, 0, max(0, rows - len(features))))


def _prepared(features: Tensor, dist_metric: str) -> Tensor:
    return F.normalize(features, dim=1) if dist_metric == "cosine" else features


def _check(
    query: Tensor, gallery: Features, of_query: _Labels, of_gallery: _Labels, dist_metric: str
) -> None:
    check_choice("dist_metric", dist_metric, DIST_METRICS)
    if query.dim() != 2 or len(gallery.shape) != 2 or query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"Received features of shapes {tuple(query.shape)} and {tuple(gallery.shape)}, but "
            "expected (Q, D) and (G, D)"
        )
    for name, size, labels in (
        ("query", len(query), of_query),
        ("gallery", len(gallery), of_gallery),
    ):
        sizes = [len(label) for label in labels]
        if sizes != [size] * 2:
            raise ValueError(
                f"Received {sizes[0]} pids and {sizes[1]} camids for {size} {name} items"
            )
    if not torch.isfinite(query).all():
        raise ValueError("Some query features are not finite.")
