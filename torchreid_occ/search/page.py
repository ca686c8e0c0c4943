"""Results of a search as an HTML page without further files or network access."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from torchreid_occ._types import StrPath
from torchreid_occ.data.frames import Frame
from torchreid_occ.search.answer import printable, time_span
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.protocol import Match
from torchreid_occ.search.query import SearchQuery
from torchreid_occ.utils.files import write_text
from torchreid_occ.visualization.frame_strip import Picture, frame_strip, spread_frames

FRAMES = 8  # shown of a tracklet


def write_page(
    path: StrPath, gallery: Gallery, query: SearchQuery, matches: Sequence[Match]
) -> None:
    """Writes a page with the query beside the tracklets found, nearest first.

    Args:
        path: The file.
        gallery: The gallery that was searched.
        query: The query.
        matches: The matches, nearest first.
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


def _frames(frames: Sequence[Frame]) -> list[Picture]:
    """Returns pictures of some frames; an empty list if the files have moved."""
    try:
        return [frame_strip([frame], 1) for frame in spread_frames(frames, FRAMES)]
    except (FileNotFoundError, ValueError):
        return []
