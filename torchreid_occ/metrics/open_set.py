"""Open-set identification: the person searched for may not be in the gallery.

Reference: Grother, Ngan and Hanaoka, "Face Recognition Vendor Test, part 2: Identification"
(NIST IR 8271) for FPIR and FNIR; Liao et al., "Open-set person re-identification" (2014) for DIR.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.metrics.rank import checked_ranking
from torchreid_occ.metrics.verification import Floats, threshold_at


class OpenSet(NamedTuple):
    """What queries find in a gallery that some of the people searched for are not in.

    Attributes:
        non_mated: Distance of the nearest item to each query without a match in the gallery. Shape
            ``(N,)``.
        mated: Distance of the nearest match to each of the other queries. Shape ``(M,)``.
        ranks: Rank of that match from 1; of equal distances the match comes last. Shape ``(M,)``.
    """

    non_mated: Floats
    mated: Floats
    ranks: npt.NDArray[np.int64]


class Identification(NamedTuple):
    """Rates at a threshold; an item is reported if it is nearer than that.

    Attributes:
        threshold: The threshold of the distance.
        dir: Detection and identification rate: share of the queries with a match that is reported
            and within the rank. Also called TPIR, and 1 - FNIR.
        fpir: False positive identification rate: share of the queries without a match for which
            an item is reported.
    """

    threshold: float
    dir: float
    fpir: float


def open_set(
    distmat: npt.ArrayLike,
    q_pids: npt.ArrayLike,
    g_pids: npt.ArrayLike,
    q_camids: npt.ArrayLike,
    g_camids: npt.ArrayLike,
) -> OpenSet:
    """Divides queries into mated and non-mated ones, and returns what decides about each.

    Items of the query's identity and camera are left out, as in the closed-set protocol; a query
    without any other item of its identity is non-mated.

    Args:
        distmat: Distances of queries to gallery items.
        q_pids: Identities of the queries.
        g_pids: Identities of the gallery items.
        q_camids: Cameras of the queries.
        g_camids: Cameras of the gallery items.

    Shape:
        distmat: (Q, G); q_pids, q_camids: (Q,); g_pids, g_camids: (G,).

    Raises:
        ValueError: If shapes do not match, or a distance is NaN.
    """
    ranking = checked_ranking(distmat, q_pids, g_pids, q_camids, g_camids)
    same = ranking.q_pids[:, None] == ranking.g_pids[None]
    match = same & (ranking.q_camids[:, None] != ranking.g_camids[None])
    is_mated = match.any(axis=1)
    others = np.where(same, np.inf, ranking.distmat)
    nearest = np.where(match, ranking.distmat, np.inf).min(axis=1, initial=np.inf)
    ranks = 1 + (others <= nearest[:, None]).sum(axis=1)
    return OpenSet(
        others[~is_mated].min(axis=1, initial=np.inf), nearest[is_mated], ranks[is_mated]
    )


def dir_at_fpir(found: OpenSet, fpir: float = 0.01, rank: int = 1) -> Identification:
    """Returns the rates at the largest threshold with at most a false positive rate.

    Args:
        found: Result of `open_set`.
        fpir: The false positive identification rate, 0 to 1.
        rank: The match must be among so many nearest items.

    Raises:
        ValueError: If there are no queries with a match, or none without, or an argument is out of
            its range.
    """
    _check(found, rank)
    return _rates(found, threshold_at(found.non_mated, fpir), rank)


def rates_at(found: OpenSet, threshold: float, rank: int = 1) -> Identification:
    """Returns the rates at a threshold that was chosen elsewhere.

    Args:
        found: Result of `open_set`.
        threshold: The threshold of the distance.
        rank: The match must be among so many nearest items.

    Raises:
        ValueError: As of `dir_at_fpir`.
    """
    _check(found, rank)
    return _rates(found, threshold, rank)


def _rates(found: OpenSet, threshold: float, rank: int) -> Identification:
    reported = (found.mated < threshold) & (found.ranks <= rank)
    return Identification(
        threshold, float(reported.mean()), float((found.non_mated < threshold).mean())
    )


def _check(found: OpenSet, rank: int) -> None:
    if rank < 1:
        raise ValueError(f"Received rank {rank}, but expected to be at least 1.")
    if not len(found.mated) or not len(found.non_mated):
        raise ValueError(
            f"{len(found.mated)} queries have a match in the gallery and {len(found.non_mated)} "
            "have none: an open-set protocol needs both."
        )
