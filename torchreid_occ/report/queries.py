"""The queries with the lowest average precision and their ranked lists."""

from typing import NamedTuple

import numpy as np

from torchreid_occ.data.frame_strip import Picture, frame_strip
from torchreid_occ.engine.evaluation import TargetResult
from torchreid_occ.report.retrieval import Retrieval

_QUERY_FRAMES, _GALLERY_FRAMES = 8, 3


class ShownTracklet(NamedTuple):
    """A gallery tracklet in a ranked list; `right` tells whether it shows the query's person."""

    rank: int
    right: bool
    pid: int
    camid: int
    strip: Picture


class CleanForm(NamedTuple):
    """A query without occluders: its average precision, rank of the first match, frames."""

    precision: float | None
    first_rank: int | None
    strip: Picture


class ShownQuery(NamedTuple):
    """A query with its ranked list.

    Attributes:
        number: Number of the query.
        pid: Its pid.
        camid: Its camid.
        precision: Its average precision.
        first_rank: Rank of its first match.
        label: How much of the person is hidden, 0 to 10; None if it is not known.
        strip: Its frames.
        clean: The same query without occluders; None if there is none.
        ranked: First tracklets of the ranked list, and the first match if it comes later.
    """

    number: int
    pid: int
    camid: int
    precision: float | None
    first_rank: int | None
    label: int | None
    strip: Picture
    clean: CleanForm | None
    ranked: list[ShownTracklet]


class RankOne(NamedTuple):
    """Numbers of queries that are matched at rank 1 with occluders and without."""

    both: int
    only_clean: int
    only_occluded: int
    neither: int


class PrecisionByLabel(NamedTuple):
    """mAP by occlusion label.

    Attributes:
        labels: The labels of queries with a match.
        rows: mAP of each label, by target.
        counts: Number of queries of each label.
    """

    labels: list[int]
    rows: dict[str, list[float]]
    counts: list[int]


def hardest(results: TargetResult, count: int) -> list[int]:
    """Lists the queries with the lowest average precision, the lowest first.

    Args:
        results: Results of a target; queries without a match have no average precision.
        count: How many.

    Returns:
        Numbers of the queries.
    """
    precisions = np.array(results["average_precisions"], dtype=float)
    order = np.argsort(precisions, kind="stable")  # NaN last
    return [int(number) for number in order[:count] if not np.isnan(precisions[number])]


def show_query(retrieval: Retrieval, number: int) -> ShownQuery:
    """Draws a query, its clean form and its ranked list.

    Args:
        retrieval: The retrieval of its target.
        number: Number of the query.
    """
    paths, pid, camid, *_ = retrieval.query[number]
    found = retrieval.lists[number]
    ranked = [_ranked(retrieval, rank, item, pid) for rank, item in enumerate(found.items, start=1)]
    rank, match = found.first_rank, found.first_match
    if rank is not None and match is not None and rank > len(ranked):
        ranked.append(_ranked(retrieval, rank, match, pid))
    return ShownQuery(
        number=number,
        pid=pid,
        camid=camid,
        precision=retrieval.results["average_precisions"][number],
        first_rank=found.first_rank,
        label=None if retrieval.labels is None else int(retrieval.labels[number]),
        strip=frame_strip(paths, _QUERY_FRAMES),
        clean=None if retrieval.clean is None else _clean_form(retrieval.clean, number),
        ranked=ranked,
    )


def compare_with_clean(retrieval: Retrieval) -> RankOne:
    """Counts the queries that are matched at rank 1 with occluders and without.

    Args:
        retrieval: A retrieval with a clean form.
    """
    assert retrieval.clean is not None
    pairs = [
        (occluded.first_rank == 1, clean.first_rank == 1)
        for occluded, clean in zip(retrieval.lists, retrieval.clean.lists, strict=True)
        if occluded.first_rank is not None
    ]
    return RankOne(
        both=pairs.count((True, True)),
        only_clean=pairs.count((False, True)),
        only_occluded=pairs.count((True, False)),
        neither=pairs.count((False, False)),
    )


def precision_by_label(retrieval: Retrieval) -> PrecisionByLabel:
    """Averages precision by how much of the query's person is hidden.

    Args:
        retrieval: A retrieval with labels.
    """
    assert retrieval.labels is not None
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
    return PrecisionByLabel(labels.tolist(), rows, counts.tolist())


def _clean_form(retrieval: Retrieval, number: int) -> CleanForm:
    return CleanForm(
        retrieval.results["average_precisions"][number],
        retrieval.lists[number].first_rank,
        frame_strip(retrieval.query[number][0], _QUERY_FRAMES),
    )


def _ranked(retrieval: Retrieval, rank: int, item: int, wanted: int) -> ShownTracklet:
    paths, pid, camid, *_ = retrieval.gallery[item]
    strip = frame_strip(paths, _GALLERY_FRAMES)
    return ShownTracklet(rank, pid == wanted, pid, camid, strip)
