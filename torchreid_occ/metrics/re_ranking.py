"""Re-ranking by k-reciprocal neighbours with memory linear in the number of items."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from torchreid_occ.utils.progress import progress

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Indices: TypeAlias = npt.NDArray[np.int64]
Distances: TypeAlias = Callable[[slice], Floats]

BLOCK = 512  # items whose distances to all others are in memory at a time


def re_rank(
    distances: Distances,
    num_queries: int,
    num_items: int,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    block: int = BLOCK,
) -> npt.NDArray[np.float32]:
    """Computes re-ranked distances of queries to gallery items; torchreid's numbers except at ties.

    torchreid holds three matrices of all pairs of items. Here only neighbours are kept.

    Reference: Zhong et al., *Re-ranking Person Re-identification with k-reciprocal Encoding*, CVPR
    2017.

    Args:
        distances: Returns the distances of a slice of items to all items; queries come first.
        num_queries: Number of queries.
        num_items: Number of queries and gallery items.
        k1: Neighbours that may be reciprocal.
        k2: Neighbours whose encodings are averaged.
        lambda_value: Share of the original distance in the result.
        block: Items whose distances to all others are in memory at a time.

    Shape:
        distances(rows): (len(rows), num_items); result: (num_queries, num_items - num_queries).

    Raises:
        ValueError: If an item is at distance 0 from all others, as after a collapse of the
            features, or distances are too large to be squared.
    """
    blocks = _blocks(num_items, block)
    encoding = _encoded(distances, blocks, k1, k2)
    by_item = encoding.tocsc()
    result = np.empty((num_queries, num_items - num_queries), np.float32)
    for rows in progress(blocks, "re-ranking", unit="block"):
        for query in range(rows.start, min(rows.stop, num_queries)):
            shared = _shared(encoding[[query]], by_item)
            result[query] = (1 - shared / (2 - shared))[num_queries:] * (1 - lambda_value)
        if rows.start < num_queries:
            original = _scaled(distances(rows))[: num_queries - rows.start, num_queries:]
            result[rows] += lambda_value * original
    return result


def shared_neighbours(
    distances: Distances, num_items: int, k1: int = 20, k2: int = 6, block: int = BLOCK
) -> npt.NDArray[np.float32]:
    """Computes the Jaccard similarities of the reciprocal neighbours of all pairs of items.

    Args:
        distances: Returns the distances of a slice of items to all items.
        num_items: Number of items.
        k1: Neighbours that may be reciprocal.
        k2: Neighbours whose encodings are averaged.
        block: Items whose distances to all others are in memory at a time.

    Shape:
        distances(rows): (len(rows), num_items); result: (num_items, num_items), symmetric.

    Raises:
        ValueError: As of `re_rank`.
    """
    encoding = _encoded(distances, _blocks(num_items, block), k1, k2)
    by_item = encoding.tocsc()
    shared = np.stack([_shared(encoding[[item]], by_item) for item in range(num_items)])
    mean = ((shared + shared.T) / 2).astype(np.float32)
    return mean / (2 - mean)


def _blocks(num_items: int, block: int) -> list[slice]:
    return [slice(i, min(i + block, num_items)) for i in range(0, num_items, block)]


def _encoded(distances: Distances, blocks: Sequence[slice], k1: int, k2: int) -> sparse.csr_array:
    """Returns the encoding of each item, averaged over its nearest ones: a sparse (N, N) matrix."""
    neighbours = np.concatenate(
        [_nearest(distances(rows), k1 + 1) for rows in progress(blocks, "neighbours", unit="block")]
    )
    encoding = _encoding(distances, neighbours, blocks, k1)
    if k2 != 1:
        encoding = _averaging(neighbours[:, :k2]) @ encoding
    return encoding.tocsr()


def _nearest(distances: Floats, number: int) -> Indices:
    """Returns the indices of the nearest items of each row, nearest first."""
    number = min(number, distances.shape[1])
    found = np.argpartition(distances, number - 1, axis=1)[:, :number]
    order = np.argsort(np.take_along_axis(distances, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def _scaled(distances: Floats) -> npt.NDArray[np.float32]:
    """Squares distances and divides each row by its largest square."""
    with np.errstate(over="ignore"):
        squares = np.square(distances, dtype=np.float32)
    largest = squares.max(1, keepdims=True)
    if not largest.all():
        raise ValueError(
            "An item is at distance 0 from all others, so nothing can be re-ranked: the features "
            "are finite, but have collapsed to one point, as an untrained or badly trained model's "
            "do. Set test.rerank False to test without."
        )
    if np.isinf(largest).any() and np.isfinite(distances).all():
        raise ValueError(
            f"Distances up to {np.abs(distances).max():g} are too large to be squared, so nothing "
            "can be re-ranked: set test.normalize_feature True, or test.dist_metric cosine."
        )
    return squares / largest


def _encoding(
    distances: Distances, neighbours: Indices, blocks: Sequence[slice], k1: int
) -> sparse.csr_array:
    """Returns the weights of each item's expanded reciprocal neighbours: a sparse (N, N) matrix."""
    half = neighbours[:, : int(np.around(k1 / 2)) + 1]
    columns, weights = [], []
    for rows in progress(blocks, "encoding", unit="block"):
        near = _scaled(distances(rows))
        for item in range(rows.start, rows.stop):
            columns.append(_expanded(item, neighbours, half))
            weight = np.exp(-near[item - rows.start, columns[-1]])
            weights.append(weight / weight.sum())
    starts = np.cumsum([0, *map(len, columns)])
    parts = (np.concatenate(weights), np.concatenate(columns), starts)
    return sparse.csr_array(parts, shape=(len(neighbours), len(neighbours)))


def _expanded(item: int, neighbours: Indices, half: Indices) -> Indices:
    """Returns an item's reciprocal neighbours, and theirs if two thirds of these are shared."""
    reciprocal = _reciprocal(item, neighbours)
    found = [reciprocal]
    for candidate in reciprocal:
        its_own = _reciprocal(candidate, half)
        if 3 * np.isin(its_own, reciprocal).sum() > 2 * len(its_own):
            found.append(its_own)
    return np.unique(np.concatenate(found))


def _reciprocal(item: int, neighbours: Indices) -> Indices:
    forward = neighbours[item]
    return forward[(neighbours[forward] == item).any(1)]


def _averaging(neighbours: Indices) -> sparse.csr_array:
    """Returns the matrix that maps each item to the mean over its neighbours."""
    number, width = neighbours.shape
    starts = np.arange(0, number * width + 1, width)
    weights = np.full(number * width, 1 / width, np.float32)
    return sparse.csr_array((weights, neighbours.ravel(), starts), shape=(number, number))


def _shared(encoding: sparse.csr_array, by_item: sparse.csc_array) -> npt.NDArray[np.float32]:
    """Returns the sum of the smaller weights of an item's and each other encoding, `(N,)`."""
    shared = np.zeros(by_item.shape[0], np.float32)
    for column, weight in zip(encoding.indices, encoding.data, strict=True):
        held = slice(by_item.indptr[column], by_item.indptr[column + 1])
        shared[by_item.indices[held]] += np.minimum(weight, by_item.data[held])
    return shared
