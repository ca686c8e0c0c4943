"""CMC and mAP: torchreid's protocol and numbers, for galleries of any size."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ._torchreid import torchreid
from torchreid_occ.utils.progress import progress


class QueryRanks(NamedTuple):
    """Ranks of the V queries with a match in the gallery; the others are left out.

    Attributes:
        queries: Indices of these queries. Shape ``(V,)``.
        average_precision: Shape ``(V,)``.
        cmc: 1 from the rank of the first match on. Shape ``(V, max_rank)``.
        inverse_penalty: Number of matches, divided by the rank of the last one. Shape ``(V,)``.
    """

    queries: npt.NDArray[np.int64]
    average_precision: npt.NDArray[np.float64]
    cmc: npt.NDArray[np.float32]
    inverse_penalty: npt.NDArray[np.float64]

    def mean_inverse_penalty(self) -> float:
        """Returns mINP, the mean inverse negative penalty: 1 if no wrong item precedes a match.

        Reference: Ye et al., "Deep learning for person re-identification" (TPAMI 2021), section
        4.1, equation 3.
        """
        return float(np.mean(self.inverse_penalty))

    def mean(self) -> tuple[npt.NDArray[np.floating[Any]], np.floating[Any]]:
        """Returns the CMC curve and the mAP.

        Raises:
            ValueError: If no query has a match in the gallery.
        """
        if not len(self.queries):
            raise ValueError(
                "None of the queries has its identity in the gallery under another camera: there "
                "is nothing to rank. Check pids and camids of query and gallery."
            )
        return self.cmc.sum(0) / len(self.queries), np.mean(self.average_precision)


class RankedList(NamedTuple):
    """What a query finds, nearest first; items of its identity and camera are left out.

    Attributes:
        items: Gallery indices of the nearest items. Shape ``(length,)``.
        first_rank: Rank of the first match, from 1; None without a match.
        first_match: Gallery index of the first match; None without a match.
    """

    items: npt.NDArray[np.int64]
    first_rank: int | None
    first_match: int | None


class Ranking(NamedTuple):
    """Distances and labels as arrays that fit together."""

    distmat: npt.NDArray[Any]
    q_pids: npt.NDArray[np.int64]
    g_pids: npt.NDArray[np.int64]
    q_camids: npt.NDArray[np.int64]
    g_camids: npt.NDArray[np.int64]


def rank_queries(
    distmat: npt.ArrayLike,
    q_pids: npt.ArrayLike,
    g_pids: npt.ArrayLike,
    q_camids: npt.ArrayLike,
    g_camids: npt.ArrayLike,
    max_rank: int = 50,
) -> QueryRanks:
    """Ranks the gallery for each query; items of the query's identity and camera are left out.

    Args:
        distmat: Distances of queries to gallery items.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.
        max_rank: Ranks of the CMC; fewer if the gallery has fewer items.

    Shape:
        distmat: (Q, G); q_pids, q_camids: (Q,); g_pids, g_camids: (G,).

    Raises:
        ValueError: If shapes do not match, or a distance is NaN.
    """
    distmat, q_pids, g_pids, q_camids, g_camids = checked_ranking(
        distmat, q_pids, g_pids, q_camids, g_camids
    )
    max_rank = min(max_rank, distmat.shape[1])
    queries, precisions, curves, penalties = [], [], [], []
    for query in progress(range(len(q_pids)), "ranking", unit="query"):
        same = np.flatnonzero(g_pids == q_pids[query])
        left_out = g_camids[same] == q_camids[query]
        if left_out.all():
            continue
        positions = _positions(distmat[query], same)
        hidden = np.sort(positions[left_out])
        found = np.sort(positions[~left_out])
        ranks = found - np.searchsorted(hidden, found)
        queries.append(query)
        # Mostly zeros, but as long as torchreid's array: sums of other lengths round differently.
        precision = np.zeros(distmat.shape[1] - len(hidden))
        precision[ranks] = np.arange(1, len(ranks) + 1) / (ranks + 1.0)
        precisions.append(precision.sum() / len(ranks))
        curves.append(np.arange(max_rank) >= ranks[0])
        penalties.append(len(ranks) / (ranks[-1] + 1.0))
    return QueryRanks(
        np.array(queries, dtype=np.int64),
        np.array(precisions),
        np.array(curves, dtype=np.float32).reshape(-1, max_rank),
        np.array(penalties),
    )


def rank_lists(
    distmat: npt.ArrayLike,
    q_pids: npt.ArrayLike,
    g_pids: npt.ArrayLike,
    q_camids: npt.ArrayLike,
    g_camids: npt.ArrayLike,
    length: int = 10,
) -> list[RankedList]:
    """Lists what each query finds, in the order of :func:`rank_queries`.

    Args:
        distmat: Distances of queries to gallery items.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.
        length: Items of each list, fewer where fewer are left.

    Shape:
        distmat: (Q, G); q_pids, q_camids: (Q,); g_pids, g_camids: (G,).

    Raises:
        ValueError: If shapes do not match, or a distance is NaN.
    """
    distmat, q_pids, g_pids, q_camids, g_camids = checked_ranking(
        distmat, q_pids, g_pids, q_camids, g_camids
    )
    lists = []
    for distances, pid, camid in zip(distmat, q_pids, q_camids, strict=True):
        order = np.argsort(distances)  # torchreid's sort, so that ties have the same order
        order = order[(g_pids[order] != pid) | (g_camids[order] != camid)]
        found = np.flatnonzero(g_pids[order] == pid)
        first = (int(found[0]) + 1, int(order[found[0]])) if len(found) else (None, None)
        lists.append(RankedList(order[:length], *first))
    return lists


def _positions(distances: npt.NDArray[Any], items: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns the positions of some items in the order of all distances.

    Sorting values takes a fifth of the time of sorting indices. Indices matter only if an item's
    distance occurs twice: then the sort is torchreid's, so that ties have the same order.
    """
    ordered = np.sort(distances)
    first = np.searchsorted(ordered, distances[items])
    after = np.searchsorted(ordered, distances[items], side="right")
    if (after - first == 1).all():
        return first
    positions = np.empty(len(distances), dtype=int)
    positions[np.argsort(distances)] = np.arange(len(distances))
    return positions[items]


def evaluate_rank(
    distmat: npt.ArrayLike,
    q_pids: npt.ArrayLike,
    g_pids: npt.ArrayLike,
    q_camids: npt.ArrayLike,
    g_camids: npt.ArrayLike,
    max_rank: int = 50,
    use_metric_cuhk03: bool = False,
    use_cython: bool = True,
) -> tuple[npt.NDArray[np.floating[Any]], np.floating[Any]]:
    """Computes CMC curve and mAP with torchreid's signature and the numbers of its Python path.

    Unlike torchreid's, it also accepts galleries in which fewer than ``max_rank`` items are left
    for a query.

    Args:
        distmat: Distances of queries to gallery items.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.
        max_rank: Ranks of the CMC; fewer if the gallery has fewer items.
        use_metric_cuhk03: CUHK03's classic single-gallery-shot protocol, left to torchreid.
        use_cython: Ignored; it belongs to torchreid's signature.

    Shape:
        distmat: (Q, G); q_pids, q_camids: (Q,); g_pids, g_camids: (G,); CMC: (max_rank,).

    Returns:
        The CMC curve and the mAP.

    Raises:
        ValueError: If no query has a match in the gallery, shapes do not match, or a distance is
            NaN.
    """
    if use_metric_cuhk03:
        return torchreid.metrics.evaluate_rank(
            distmat, q_pids, g_pids, q_camids, g_camids, max_rank, True, use_cython=False
        )
    return rank_queries(distmat, q_pids, g_pids, q_camids, g_camids, max_rank).mean()


def checked_ranking(
    distmat: npt.ArrayLike,
    q_pids: npt.ArrayLike,
    g_pids: npt.ArrayLike,
    q_camids: npt.ArrayLike,
    g_camids: npt.ArrayLike,
) -> Ranking:
    """Converts distances and labels to arrays and checks that they fit together.

    Args:
        distmat: Distances of queries to gallery items.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.

    Raises:
        ValueError: If shapes do not match, or a distance is NaN.
    """
    ranking = Ranking(*map(np.asarray, (distmat, q_pids, g_pids, q_camids, g_camids)))
    distmat, q_pids, g_pids, q_camids, g_camids = ranking
    expected = (len(q_pids), len(g_pids))
    if distmat.shape != expected or len(q_camids) != expected[0] or len(g_camids) != expected[1]:
        raise ValueError(
            f"distmat is {distmat.shape} for {len(q_pids)} query pids, {len(q_camids)} query "
            f"camids, {len(g_pids)} gallery pids and {len(g_camids)} gallery camids."
        )
    if np.isnan(distmat).any():
        raise ValueError("distmat holds NaN: some features are not finite.")
    return ranking
