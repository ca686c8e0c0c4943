"""A page to look through: the least certain decisions first, then a row for each person."""

from typing import NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.data.frame_strip import Picture, frame_strip
from torchreid_occ.identities.finding import Identities
from torchreid_occ.search.answer import printable, time_span
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.progress import progress
from torchreid_occ.utils.templates import templates_in

FRAMES = 4  # shown of a tracklet
DECISIONS = 60  # shown of the least certain


class _Strip(NamedTuple):
    """A tracklet as the page shows it."""

    id: int
    name: str
    facts: str
    picture: Picture | None


def write_page(path: StrPath, gallery: Gallery, found: Identities) -> None:
    """Writes a page of people that needs no other file.

    Args:
        path: The file.
        gallery: The gallery.
        found: Its people.
    """
    strips = {
        number: _strip(found, number)
        for number in progress([*found.tracklets], "drawing", unit="tracklet")
    }
    page = (
        templates_in("torchreid_occ.identities")
        .get_template("page.html")
        .render(
            place=printable(gallery.place),
            people=found.people,
            tracklets=len(found.tracklets),
            person_of=found.person_of(),
            decisions=found.decisions[:DECISIONS],
            strips=strips,
        )
    )
    write_text(path, page)


def _strip(found: Identities, number: int) -> _Strip:
    one = found.tracklets[number]
    camera = "" if one.camera is None else f"camera {one.camera}"
    facts = ", ".join(text for text in (camera, time_span(one)) if text)
    try:
        picture = frame_strip(one.frames, FRAMES, (96, 48), 70)
    except (FileNotFoundError, ValueError):  # the files have moved
        picture = None
    return _Strip(number, printable(one.name), facts, picture)
