"""What tracklets' frames hold: recognises frames that changed, moved, or are there twice.

A stamp tells sizes and times of the files, which is quick to compare; where it differs, the content
decides.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.protocol import name_taken
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.progress import progress


class State(Enum):
    """What the frames of a stored tracklet are now."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"
    UNKNOWN = "unknown"  # stored by a version that recorded nothing of them


class Plan(NamedTuple):
    """What indexing does with tracklets.

    Attributes:
        new: Tracklets to add.
        changed: Those stored whose frames have changed, by id.
        unknown: Those stored of whose frames nothing is recorded, by id.
        moved: Those stored whose frames are the same elsewhere, or have other times, by id.
        repeated: Names of those left out, as the same frames are there under another name, by it.
    """

    new: list[GalleryTracklet]
    changed: dict[int, GalleryTracklet]
    unknown: dict[int, GalleryTracklet]
    moved: dict[int, GalleryTracklet]
    repeated: dict[str, str]


def recorded(tracklet: GalleryTracklet) -> GalleryTracklet:
    """Returns a tracklet with the stamp and the content of its frames.

    Args:
        tracklet: The tracklet.

    Raises:
        FileNotFoundError: If a frame does not exist.
    """
    stamp = _stamp(tracklet.frames)  # first, so that a change meanwhile is noticed later
    return tracklet._replace(stamp=stamp, content=_content(tracklet.frames))


def state_of(tracklet: GalleryTracklet) -> State:
    """Compares the frames of a stored tracklet with what was recorded of them.

    Args:
        tracklet: The tracklet.
    """
    if tracklet.content is None:
        return State.UNKNOWN
    try:
        same = _stamp(tracklet.frames) == tracklet.stamp
        same = same or _content(tracklet.frames) == tracklet.content
    except OSError:
        return State.GONE
    return State.SAME if same else State.CHANGED


def plan_indexing(gallery: Gallery, tracklets: Sequence[GalleryTracklet]) -> Plan:
    """Sorts tracklets by what is to be done with them.

    Args:
        gallery: The gallery.
        tracklets: The tracklets.

    Raises:
        FileNotFoundError: If a frame does not exist.
        ValueError: If two tracklets have one name, or a name is taken by a tracklet elsewhere.
    """
    stored = gallery.by_name(tracklets)
    plan = Plan([], {}, {}, {}, {})
    unseen = []
    for tracklet in tracklets:
        if tracklet.name in stored:
            _sort_stored(plan, *stored[tracklet.name], tracklet, gallery.place)
        else:
            unseen.append(tracklet)
    found = [recorded(one) for one in progress(unseen, "reading frames", unit="tracklet")]
    names = gallery.names_of_contents(str(one.content) for one in found)
    for tracklet in found:
        first = names.setdefault(str(tracklet.content), tracklet.name)
        if first == tracklet.name:
            plan.new.append(tracklet)
        else:
            plan.repeated[tracklet.name] = first
    return plan


def _sort_stored(
    plan: Plan, number: int, stored: GalleryTracklet, tracklet: GalleryTracklet, place: str
) -> None:
    """Enters a tracklet whose name is stored into a plan."""
    in_place = stored.frames == tracklet.frames
    if in_place and stored.stamp is not None and stored.stamp == _stamp(tracklet.frames):
        return
    now = recorded(tracklet)
    if stored.content is None and in_place:
        plan.unknown[number] = now
    elif stored.content == now.content:
        if in_place or not Path(stored.frames[0]).exists():
            plan.moved[number] = now
    elif _folder(stored) == _folder(tracklet) or not Path(stored.frames[0]).exists():
        plan.changed[number] = now
    else:
        raise name_taken(number, stored, place)


def _folder(tracklet: GalleryTracklet) -> Path:
    return Path(tracklet.frames[0]).parent


def _stamp(frames: Sequence[str]) -> str:
    """Returns a digest of the sizes and times of files."""
    states = (os.stat(frame) for frame in frames)  # noqa: PTH116  a tenth of the time of a Path's
    return _digest(f"{state.st_size} {state.st_mtime_ns}" for state in states)


def _content(frames: Sequence[str]) -> str:
    return _digest(file_hash(frame) for frame in frames)


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
