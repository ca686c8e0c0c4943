"""The answer to a query as a page that needs no other file and no network."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from torchreid_occ.search.answer import printable, time_span
from torchreid_occ.search.gallery import Gallery, Match
from torchreid_occ.search.query import SearchQuery
from torchreid_occ.utils.files import write_text
from torchreid_occ.visualization.frame_strip import frame_strip, spread_frames

FRAMES = 8  # shown of a tracklet


def write_page(path: str | Path, gallery: Gallery, query: SearchQuery, matches: Sequence[Match]):
    """Writes the page: the query beside the tracklets found, nearest first.

    Args:
        path: The file.
        gallery: What was searched.
        query: What was searched for.
        matches: What was found.
    """
    templates = Environment(
        loader=PackageLoader("torchreid_occ.search", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = templates.get_template("page.html").render(
        gallery=gallery,
        query=query,
        query_frames=_frames(query.frames),
        found=[(match, _frames(match.tracklet.frames)) for match in matches],
        time_span=time_span,
        printable=printable,
    )
    write_text(path, page)


def _frames(frames):
    """Pictures of some frames; none if they are not where they were indexed."""
    try:
        return [frame_strip([frame], 1) for frame in spread_frames(frames, FRAMES)]
    except (FileNotFoundError, ValueError):
        return []
