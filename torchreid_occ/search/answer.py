"""Results of a search as a Markdown table and as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.protocol import Match
from torchreid_occ.search.query import SearchQuery
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.tables import markdown_header, markdown_row, markdown_table

_COLUMNS = ("id", "camera", "time", "frames", "name")


def as_table(matches: Sequence[Match]) -> str:
    """Formats matches as a table, one row for each rank.

    Args:
        matches: The matches, nearest first.
    """
    rows = [
        (rank, f"{match.distance:.4f}", *_columns(match.id, match.tracklet))
        for rank, match in enumerate(matches, start=1)
    ]
    return markdown_table(("rank", "distance", *_COLUMNS), rows).rstrip("\n")


def as_lines(tracklets: Iterable[tuple[int, GalleryTracklet]]) -> Iterator[str]:
    """Yields the lines of a table of tracklets.

    Args:
        tracklets: Pairs of ids and tracklets.
    """
    yield from markdown_header(_COLUMNS).split("\n")
    for number, tracklet in tracklets:
        yield markdown_row(_columns(number, tracklet))


def as_json(gallery: Gallery, query: SearchQuery, matches: Sequence[Match]) -> dict[str, Any]:
    """Returns matches and their tracklets as plain values.

    Args:
        gallery: The gallery that was searched.
        query: The query.
        matches: The matches, nearest first.
    """
    return {
        "gallery": str(gallery.folder),
        "tracklets": len(gallery),
        "checkpoint_hash": gallery.checkpoint_hash,
        "query": {"title": printable(query.title), "frames": len(query.frames)},
        "matches": [
            {"rank": rank, "id": match.id, "distance": match.distance, **match.tracklet._asdict()}
            for rank, match in enumerate(matches, start=1)
        ],
    }


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
    return f"{_clock(tracklet.start)} to {_clock(tracklet.end)}"


def _columns(number: int, tracklet: GalleryTracklet) -> tuple[object, ...]:
    camera = "" if tracklet.camera is None else tracklet.camera
    name = printable(tracklet.name).replace("|", "\\|")
    return number, camera, time_span(tracklet), len(tracklet.frames), name


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes:.0f}:{seconds:04.1f}"
