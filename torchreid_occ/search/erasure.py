"""Erases tracklets of a gallery by id, person or age, with their frames where that is asked for."""

import time
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from torchreid_occ.footage.forgetting import delete_tracklet_frames
from torchreid_occ.search.audit import AUDIT
from torchreid_occ.search.documents import CALIBRATION, IDENTITIES
from torchreid_occ.search.engines import FILE
from torchreid_occ.search.gallery import Gallery

_SHOWN = 10  # persons named in an error
# SQLite's logs have names that begin with that of their file.
_OWN_FILES = (f"{FILE}*", "index-*.faiss", AUDIT, CALIBRATION, IDENTITIES)


class Choice(NamedTuple):
    """Tracklets to erase.

    Attributes:
        ids: Their ids.
        chosen_by: How they were chosen: 'id', 'person', 'age' or 'retention'.
    """

    ids: list[int]
    chosen_by: str


class Erased(NamedTuple):
    """What an erasure did.

    Attributes:
        tracklets: Number of tracklets erased.
        frames: Number of their frames deleted.
        missing: Number of frames to delete that were not where the gallery knew them.
    """

    tracklets: int
    frames: int
    missing: int


def choose(
    gallery: Gallery,
    *,
    ids: Sequence[int] = (),
    person: str | None = None,
    older_than: float | None = None,
    expired: bool = False,
) -> Choice:
    """Chooses tracklets to erase in one of four ways.

    Args:
        gallery: The gallery.
        ids: Their ids.
        person: Name of the person: that of the folder above a tracklet's, the 'anna' of
            ``gallery/anna/3_morning``.
        older_than: Seconds since they were added.
        expired: Those that are older than the gallery's retention.

    Raises:
        KeyError: If the gallery has no tracklet of that person; names some of those it has.
        ValueError: If not exactly one way is given, or the gallery has no retention.
    """
    if (len(ids) > 0) + (person is not None) + (older_than is not None) + expired != 1:
        raise ValueError("Choose tracklets either by ids, by person, by age, or those expired.")
    if person is not None:
        return Choice(_of_person(gallery, person), "person")
    if older_than is not None:
        return Choice(gallery.added_before(time.time() - older_than), "age")
    if expired:
        if gallery.retention is None:
            raise ValueError(f"{gallery.place} has no retention: set one, or name an age.")
        return Choice(gallery.added_before(time.time() - gallery.retention), "retention")
    return Choice(list(ids), "id")


def person_of(name: str) -> str:
    """Returns the person that a tracklet's name says, the 'anna' of ``gallery/anna/3_morning``.

    Args:
        name: Name of the tracklet; the person is empty if it has one part only.
    """
    return PurePosixPath(name).parent.name


def erase(gallery: Gallery, choice: Choice, *, with_frames: bool = False) -> Erased:
    """Erases tracklets from all files of a gallery; see `Gallery.erase`.

    Args:
        gallery: The gallery.
        choice: The tracklets.
        with_frames: Delete their frames, and what recordings hold of them, as well; frames of other
            tracklets of the gallery stay.

    Raises:
        KeyError: If an id was never in the gallery; nothing is erased then.
        OSError: If a file cannot be changed; repeat the call once it can.
    """
    gallery.check_given(choice.ids)
    # Frames first: after a kill, the gallery still knows which are left.
    frames = _frames_of(gallery, set(choice.ids)) if with_frames else []
    deleted = delete_tracklet_frames(frames)
    erased = gallery.erase(choice.ids, choice.chosen_by, deleted)
    return Erased(erased, deleted, len(frames) - deleted)


def other_files(gallery: Gallery) -> list[Path]:
    """Returns files in the folder of a gallery that are not its own, such as pages of answers.

    Args:
        gallery: The gallery; one on a server has none.
    """
    if gallery.folder is None:
        return []
    files = [path for path in sorted(gallery.folder.rglob("*")) if path.is_file()]
    return [path for path in files if not any(path.match(own) for own in _OWN_FILES)]


def _of_person(gallery: Gallery, person: str) -> list[int]:
    ids: dict[str, list[int]] = {}
    for number, tracklet in gallery.tracklets():
        ids.setdefault(person_of(tracklet.name), []).append(number)
    if person not in ids:
        known = ", ".join(sorted(filter(None, ids))[:_SHOWN]) or "none"
        raise KeyError(f"{gallery.place} has no tracklet of {person!r}; it has {known}.")
    return ids[person]


def _frames_of(gallery: Gallery, ids: Collection[int]) -> list[Path]:
    """Returns the frames of tracklets that no other tracklet of the gallery shares."""
    chosen: set[str] = set()
    kept: set[str] = set()
    for number, tracklet in gallery.tracklets():
        (chosen if number in ids else kept).update(tracklet.frames)
    return [Path(frame) for frame in sorted(chosen - kept)]
