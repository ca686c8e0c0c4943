"""Results of a search as a Markdown table, as JSON and as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torchreid_occ.embedders import Provenance
from torchreid_occ.footage.manifest import RecordedTracklet
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.protocol import Judgement, Match
from torchreid_occ.search.query import SearchQuery
from torchreid_occ.search.sightings import Sighting, sightings
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.durations import clock
from torchreid_occ.utils.tables import markdown_header, markdown_row, markdown_table

_COLUMNS = ("id", "camera", "time", "frames", "name")
_CSV_COLUMNS = (
    "id", "camera", "name", "state", "path", "video", "frame", "seconds", "left", "top", "width",
    "height",
)  # fmt: skip
_JUDGED = ("probability", "verdict")


def as_table(matches: Sequence[Match]) -> str:
    """Formats matches as a table, one row for each rank.

    Args:
        matches: The matches, nearest first.
    """
    judged = any(match.judged for match in matches)
    rows = [
        (
            rank,
            f"{match.distance:.4f}",
            *(_judgement(match.judged) if judged else ()),
            *_columns(match.id, match.tracklet),
        )
        for rank, match in enumerate(matches, start=1)
    ]
    extra = _JUDGED if judged else ()
    return markdown_table(("rank", "distance", *extra, *_COLUMNS), rows).rstrip("\n")


def promise_of(matches: Sequence[Match]) -> str:
    """Returns what the verdicts promise as a sentence; empty if there are none.

    Args:
        matches: The matches.
    """
    judged = next((match.judged for match in matches if match.judged), None)
    if judged is None:
        return ""
    return (
        f"Of people who are not in the gallery, at most {judged.false_matches:.3g} get the verdict "
        f"same for anybody in it; of pairs of one person, at most {judged.missed_matches:.3g} are "
        "called different."
    )


def as_lines(tracklets: Iterable[tuple[int, GalleryTracklet]]) -> Iterator[str]:
    """Yields the lines of a table of tracklets.

    Args:
        tracklets: Pairs of ids and tracklets.
    """
    yield from markdown_header(_COLUMNS).split("\n")
    for number, tracklet in tracklets:
        yield markdown_row(_columns(number, tracklet))


def as_json(
    gallery: Gallery, query: SearchQuery, matches: Sequence[Match], provenance: Provenance
) -> dict[str, Any]:
    """Returns matches and their tracklets as plain values.

    Args:
        gallery: The gallery that was searched.
        query: The query.
        matches: The matches, nearest first.
        provenance: What the checkpoint was trained on.
    """
    return {
        "gallery": gallery.address,
        "tracklets": len(gallery),
        "checkpoint_hash": gallery.checkpoint_hash,
        "checkpoint": provenance._asdict(),
        "query": {"title": printable(query.title), "frames": len(query.frames)},
        "matches": [
            {
                "rank": one.rank,
                "id": one.match.id,
                "distance": one.match.distance,
                **(one.match.judged._asdict() if one.match.judged else {}),
                **one.match.tracklet._asdict(),
                "state": one.state.value,
                "moment": _moment(one),
            }
            for one in sightings(matches)
        ],
    }


def as_csv(matches: Sequence[Match]) -> str:
    """Returns matches as CSV, a row for each frame.

    A box is left, top, width and height in pixels of the video. The columns from `video` on are
    empty for tracklets that were not cut out of a video; `probability` and `verdict` are there
    where a calibration tells.

    Args:
        matches: The matches, nearest first.
    """
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    judged = any(match.judged for match in matches)
    writer.writerow(("rank", "distance", *(_JUDGED if judged else ()), *_CSV_COLUMNS))
    for one in sightings(matches):
        match, tracklet = one.match, one.match.tracklet
        first = (
            one.rank,
            match.distance,
            *((match.judged or (None, None))[:2] if judged else ()),
            match.id,
            tracklet.camera,
            tracklet.name,
            one.state.value,
        )
        seen = _rows_of_frames(one.where) if one.where else {}
        for path in tracklet.frames:
            writer.writerow((*first, path, *seen.get(Path(path).name.rpartition("_")[2], ())))
    return content.getvalue()


def printable(text: str) -> str:
    r"""Returns a text on one line, with unprintable characters as escapes such as ``\n``.

    Args:
        text: The text.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def time_span(tracklet: GalleryTracklet) -> str:
    """Formats the time of a tracklet in its recording; empty if it is not known.

    Args:
        tracklet: The tracklet.
    """
    if tracklet.start is None or tracklet.end is None:
        return ""
    return f"{clock(tracklet.start)} to {clock(tracklet.end)}"


def _rows_of_frames(where: RecordedTracklet) -> dict[str, tuple[object, ...]]:
    """Returns the values of the last columns of the CSV by the ends of the frames' names."""
    values = zip(where.frames, where.seconds, where.boxes, strict=True)
    return {
        f"{number:06d}.jpg": (where.video, number, second, *box) for number, second, box in values
    }


def _moment(one: Sighting) -> dict[str, Any] | None:
    if one.where is None:
        return None
    return {
        "video": one.where.video,
        "recording": one.where.recording,
        "size": one.where.size,
        "box": ["left", "top", "width", "height"],
        "frames": one.where.frames,
        "seconds": one.where.seconds,
        "boxes": one.where.boxes,
    }


def _judgement(judged: Judgement | None) -> tuple[str, str]:
    return (f"{judged.probability:.1%}", judged.verdict) if judged else ("", "")


def _columns(number: int, tracklet: GalleryTracklet) -> tuple[object, ...]:
    camera = "" if tracklet.camera is None else tracklet.camera
    name = printable(tracklet.name).replace("|", "\\|")
    return number, camera, time_span(tracklet), len(tracklet.frames), name
