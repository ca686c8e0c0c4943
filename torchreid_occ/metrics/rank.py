"""CMC and mAP: torchreid's protocol and numbers, also for small galleries."""

from typing import NamedTuple

import numpy as np

from torchreid_occ._torchreid import torchreid
from torchreid_occ.utils.progress import progress


class QueryRanks(NamedTuple):
    """How each query with a match in the gallery ranks; queries without one are left out."""

    index: np.ndarray  # (V,) positions of these queries
    average_precision: np.ndarray  # (V,)
    cmc: np.ndarray  # (V, max_rank) 1 from the rank of the first match on

    def mean(self):
        """The CMC curve and the mAP.

        Raises:
            ValueError: If no query has a match in the gallery.
        """
        if not len(self.index):
            raise ValueError(
                "None of the queries has its identity in the gallery under another camera: there "
                "is nothing to rank. Check pids and camids of query and gallery."
            )
        return self.cmc.sum(0) / len(self.index), np.mean(self.average_precision)


class RankedList(NamedTuple):
    """What a query finds, nearest first; items of its identity and camera are left out."""

    items: np.ndarray  # (length,) positions of the nearest gallery items
    first_rank: int | None  # rank of the first match, from 1; None without a match
    first_match: int | None  # its position in the gallery


def rank_queries(distmat, q_pids, g_pids, q_camids, g_camids, max_rank=50):
    """Ranks the gallery for each query; items of the query's identity and camera are left out.

    Args:
        distmat: Distances of queries to gallery items.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.
        max_rank: Ranks of the CMC; a smaller gallery gives as many as it has items.

    Shape:
        distmat: (Q, G); q_pids, q_camids: (Q,); g_pids, g_camids: (G,).

    Raises:
        ValueError: If shapes do not match, or a distance is NaN.
    """
    distmat, q_pids, g_pids, q_camids, g_camids = _checked(
        distmat, q_pids, g_pids, q_camids, g_camids
    )
    max_rank = min(max_rank, distmat.shape[1])
    index, precisions, curves = [], [], []
    for query in progress(range(len(q_pids)), "ranking", unit="query"):
        same = np.flatnonzero(g_pids == q_pids[query])
        left_out = g_camids[same] == q_camids[query]
        if left_out.all():
            continue
        positions = _positions(distmat[query], same)
        hidden = np.sort(positions[left_out])
        found = np.sort(positions[~left_out])
        ranks = found - np.searchsorted(hidden, found)
        index.append(query)
        # As long as torchreid's array, mostly zeros: sums of other lengths round differently.
        precision = np.zeros(distmat.shape[1] - len(hidden))
        precision[ranks] = np.arange(1, len(ranks) + 1) / (ranks + 1.0)
        precisions.append(precision.sum() / len(ranks))
        curves.append(np.arange(max_rank) >= ranks[0])
    return QueryRanks(
        np.array(index, dtype=int),
        np.array(precisions),
        np.array(curves, dtype=np.float32).reshape(-1, max_rank),
    )


def rank_lists(distmat, q_pids, g_pids, q_camids, g_camids, length=10):
    """What each query finds, in the order that :func:`rank_queries` counts matches in.

    Args:
        distmat: Distances of queries to gallery items.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.
        length: Items of each list, fewer where fewer are left.

    Shape:
        distmat: (Q, G); q_pids, q_camids: (Q,); g_pids, g_camids: (G,).

    Returns:
        A :class:`RankedList` of each query.

    Raises:
        ValueError: If shapes do not match, or a distance is NaN.
    """
    distmat, q_pids, g_pids, q_camids, g_camids = _checked(
        distmat, q_pids, g_pids, q_camids, g_camids
    )
    lists = []
    for distances, pid, camid in zip(distmat, q_pids, q_camids, strict=True):
        order = np.argsort(distances)  # torchreid's, so that ties fall alike
        order = order[(g_pids[order] != pid) | (g_camids[order] != camid)]
        found = np.flatnonzero(g_pids[order] == pid)
        first = (int(found[0]) + 1, int(order[found[0]])) if len(found) else (None, None)
        lists.append(RankedList(order[:length], *first))
    return lists


def _positions(distances, items):
    """Where some items stand in the order of all distances.

    Sorting values takes a fifth of the time of sorting indices. Only where an item's distance
    occurs twice do indices matter: then the sort is torchreid's, so that ties fall alike.
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
    distmat,
    q_pids,
    g_pids,
    q_camids,
    g_camids,
    max_rank=50,
    use_metric_cuhk03=False,
    use_cython=True,
):
    """CMC curve and mAP with torchreid's signature and the numbers of its Python path.

    Unlike torchreid's it also takes galleries in which fewer than ``max_rank`` items are left for
    a query.

    Args:
        distmat: Distances of queries to gallery items.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.
        max_rank: Ranks of the CMC; a smaller gallery gives as many as it has items.
        use_metric_cuhk03: CUHK03's classic single-gallery-shot protocol, left to torchreid.
        use_cython: For torchreid's signature; the numbers are those of its Python path anyway.

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


def _checked(*arguments):
    """Distances and labels as arrays that fit together."""
    distmat, q_pids, g_pids, q_camids, g_camids = arrays = [*map(np.asarray, arguments)]
    expected = (len(q_pids), len(g_pids))
    if distmat.shape != expected or len(q_camids) != expected[0] or len(g_camids) != expected[1]:
        raise ValueError(
            f"distmat is {distmat.shape} for {len(q_pids)} query pids, {len(q_camids)} query "
            f"camids, {len(g_pids)} gallery pids and {len(g_camids)} gallery camids."
        )
    if np.isnan(distmat).any():
        raise ValueError("distmat holds NaN: some features are not finite.")
    return arrays
