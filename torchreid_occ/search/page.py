"""Results of a search as an HTML page without further files or network access."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.data.frame_strip import Picture, frame_strip, spread_frames
from torchreid_occ.data.frames import Frame
from torchreid_occ.embedders import Provenance
from torchreid_occ.footage.manifest import RecordedTracklet
from torchreid_occ.search.answer import printable, promise_of, time_span
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.moments import moment_picture, timelines, video_link
from torchreid_occ.search.protocol import Match
from torchreid_occ.search.query import SearchQuery
from torchreid_occ.search.sightings import Sighting, sightings
from torchreid_occ.utils.durations import clock
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.templates import templates_in

FRAMES = 8  # shown of a tracklet


def write_page(
    path: StrPath,
    gallery: Gallery,
    query: SearchQuery,
    matches: Sequence[Match],
    provenance: Provenance,
    same: Sequence[Match] = (),
) -> None:
    """Writes a page with the query beside the tracklets found, nearest first.

    Args:
        path: The file.
        gallery: The gallery that was searched.
        query: The query.
        matches: The matches, nearest first.
        provenance: What the checkpoint was trained on.
        same: Tracklets left out, as they hold the query's own frames.
    """
    write_text(path, answer_page(gallery, query, matches, provenance, same))


def answer_page(
    gallery: Gallery,
    query: SearchQuery,
    matches: Sequence[Match],
    provenance: Provenance,
    same: Sequence[Match] = (),
    link: Callable[[RecordedTracklet], str | None] = video_link,
) -> str:
    """Returns a page with the query beside the tracklets found, nearest first.

    Args:
        gallery: The gallery that was searched.
        query: The query.
        matches: The matches, nearest first.
        provenance: What the checkpoint was trained on.
        same: Tracklets left out, as they hold the query's own frames.
        link: Function from a tracklet in its video to the address of that moment, if it has one.
    """
    found = sightings(matches)
    lines, longest = timelines(found)
    return rendered(
        "page.html",
        gallery=gallery,
        query=query,
        provenance=provenance,
        query_frames=_frames(query.frames),
        found=[(one, _frames(one.match.tracklet.frames), _moment(one, link)) for one in found],
        timelines=lines,
        longest=clock(longest),
        promise=promise_of(matches),
        same=same,
        time_span=time_span,
    )


def rendered(template: str, **values: object) -> str:
    """Renders a template of this package.

    Args:
        template: Name of its file.
        **values: Its variables.
    """
    templates = templates_in("torchreid_occ.search")
    return templates.get_template(template).render(printable=printable, **values)


class _Moment(NamedTuple):
    """A match in its video, as the page shows it."""

    picture: Picture | None
    link: str | None
    name: str
    frames: str


def _moment(one: Sighting, link: Callable[[RecordedTracklet], str | None]) -> _Moment | None:
    if one.where is None:
        return None
    numbers = one.where.frames
    return _Moment(
        picture=moment_picture(one.where),
        link=link(one.where),
        name=Path(one.where.video).name,
        frames=f"frames {numbers[0]} to {numbers[-1]}",
    )


def _frames(frames: Sequence[Frame]) -> list[Picture]:
    """Returns pictures of some frames; an empty list if the files have moved."""
    try:
        return [frame_strip([frame], 1) for frame in spread_frames(frames, FRAMES)]
    except (FileNotFoundError, ValueError):
        return []
