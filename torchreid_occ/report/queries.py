"""The queries a model finds hardest, with what it finds in place of them."""

from typing import NamedTuple

import numpy as np

from torchreid_occ.visualization.frame_strip import Picture, frame_strip

_QUERY_FRAMES, _GALLERY_FRAMES = 8, 3


class RankedTracklet(NamedTuple):
    """A gallery tracklet in a ranked list."""

    rank: int
    right: bool
    pid: int
    camid: int
    strip: Picture


class Query(NamedTuple):
    """A query with what it finds; of the same query without occluders, how it fares there."""

    number: int
    pid: int
    camid: int
    precision: float
    first_rank: int
    label: int | None
    strip: Picture
    clean_precision: float | None
    clean_first_rank: int | None
    clean_strip: Picture | None
    ranked: list


def hardest(results, count):
    """Numbers of the queries with the lowest average precision, the lowest first.

    Args:
        results: A target's results; queries without a match have no average precision.
        count: How many.
    """
    precisions = np.array(results["average_precisions"], dtype=float)
    order = np.argsort(precisions, kind="stable")  # NaN last
    return [int(number) for number in order[:count] if not np.isnan(precisions[number])]


def show_query(retrieval, number):
    """A query, its clean form and its ranked list as pictures.

    Args:
        retrieval: A :class:`~torchreid_occ.report.retrieval.Retrieval`.
        number: Which of its queries.
    """
    paths, pid, camid, *_ = retrieval.query[number]
    found, clean = retrieval.lists[number], retrieval.clean
    ranked = [_ranked(retrieval, rank, item, pid) for rank, item in enumerate(found.items, start=1)]
    if found.first_rank > len(ranked):
        ranked.append(_ranked(retrieval, found.first_rank, found.first_match, pid))
    of_clean = (None, None, None)
    if clean is not None:
        of_clean = (
            clean.results["average_precisions"][number],
            clean.lists[number].first_rank,
            frame_strip(clean.query[number][0], _QUERY_FRAMES),
        )
    return Query(
        number,
        pid,
        camid,
        retrieval.results["average_precisions"][number],
        found.first_rank,
        None if retrieval.labels is None else int(retrieval.labels[number]),
        frame_strip(paths, _QUERY_FRAMES),
        *of_clean,
        ranked,
    )


def compare_with_clean(retrieval):
    """How many queries are matched at rank 1 with occluders and without.

    Args:
        retrieval: A :class:`~torchreid_occ.report.retrieval.Retrieval` with a clean form.

    Returns:
        ``{"both", "only_clean", "only_occluded", "neither"}``.
    """
    pairs = [
        (occluded.first_rank == 1, clean.first_rank == 1)
        for occluded, clean in zip(retrieval.lists, retrieval.clean.lists, strict=True)
        if occluded.first_rank is not None
    ]
    return {
        "both": pairs.count((True, True)),
        "only_clean": pairs.count((False, True)),
        "only_occluded": pairs.count((True, False)),
        "neither": pairs.count((False, False)),
    }


def precision_by_label(retrieval):
    """Gives the mAP by how much of the query is hidden.

    Args:
        retrieval: A :class:`~torchreid_occ.report.retrieval.Retrieval` with labels.

    Returns:
        The labels, ``{target: mAP of each}``, and the number of queries of each.
    """
    sets = [part for part in (retrieval, retrieval.clean) if part is not None]
    precisions = {
        part.target: np.array(part.results["average_precisions"], dtype=float) for part in sets
    }
    ranked = ~np.isnan(precisions[retrieval.target])
    labels, counts = np.unique(retrieval.labels[ranked], return_counts=True)
    rows = {
        target: [float(values[ranked & (retrieval.labels == label)].mean()) for label in labels]
        for target, values in precisions.items()
    }
    return labels.tolist(), rows, counts.tolist()


def _ranked(retrieval, rank, item, wanted):
    paths, pid, camid, *_ = retrieval.gallery[item]
    strip = frame_strip(paths, _GALLERY_FRAMES)
    return RankedTracklet(rank, pid == wanted, pid, camid, strip)
