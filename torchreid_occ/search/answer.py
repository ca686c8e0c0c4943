"""What a search found, as a table and as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from torchreid_occ.search.gallery import Gallery, Match
from torchreid_occ.search.query import SearchQuery
from torchreid_occ.search.tracklets import GalleryTracklet

_COLUMNS = ("id", "camera", "time", "frames", "name")


def as_table(matches: Sequence[Match]) -> str:
    """Matches in the order of their ranks, a line each."""
    rows = [
        (rank, f"{match.distance:.4f}", *_columns(match.id, match.tracklet))
        for rank, match in enumerate(matches, start=1)
    ]
    return "\n".join(_table(("rank", "distance", *_COLUMNS), rows))


def as_lines(tracklets: Iterable[tuple[int, GalleryTracklet]]) -> Iterator[str]:
    """Pairs of ids and tracklets as the lines of a table."""
    return _table(_COLUMNS, (_columns(number, tracklet) for number, tracklet in tracklets))


def as_json(gallery: Gallery, query: SearchQuery, matches: Sequence[Match]) -> dict:
    """Matches with all that is known of them, in plain values."""
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
    """A text on one line: what is no sign to be seen, such as a newline, is spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def time_span(tracklet: GalleryTracklet) -> str:
    """When it was seen, in minutes and seconds of its recording; empty if that is not known."""
    if tracklet.start is None or tracklet.end is None:
        return ""
    return f"{_clock(tracklet.start)} to {_clock(tracklet.end)}"


def _columns(number, tracklet):
    camera = "" if tracklet.camera is None else tracklet.camera
    name = printable(tracklet.name).replace("|", "\\|")
    return number, camera, time_span(tracklet), len(tracklet.frames), name


def _table(head, rows):
    for line in chain([head, ["---"] * len(head)], rows):
        yield "| " + " | ".join(map(str, line)) + " |"


def _clock(seconds):
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes:.0f}:{seconds:04.1f}"
