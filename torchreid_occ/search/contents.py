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
        moved: Those stored whose frames are the same elsewhere, or whose files have other times, or
            whose times in a recording are known now, by id; under another name, if those of the
            stored name are gone.
        other_camera: Those stored with another camera than is given now, which they keep, by id.
        repeated: Names of those left out, as the same frames are there under another name, by it.
    """

    new: list[GalleryTracklet]
    changed: dict[int, GalleryTracklet]
    unknown: dict[int, GalleryTracklet]
    moved: dict[int, GalleryTracklet]
    other_camera: dict[int, GalleryTracklet]
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


def plan_indexing(
    gallery: Gallery, tracklets: Sequence[GalleryTracklet], read_frames: bool = True
) -> Plan:
    """Sorts tracklets by what is to be done with them.

    Args:
        gallery: The gallery.
        tracklets: The tracklets.
        read_frames: Look what the frames hold now; else what the tracklets say of it counts.

    Raises:
        FileNotFoundError: If a frame does not exist.
        ValueError: If two tracklets have one name, or a name is taken by a tracklet elsewhere.
    """
    stored = gallery.by_name(tracklets)
    plan = Plan([], {}, {}, {}, {}, {})
    unseen = []
    for tracklet in tracklets:
        if tracklet.name in stored:
            number, before = stored[tracklet.name]
            if not (read_frames and _looks_the_same(before, tracklet)):
                now = recorded(tracklet) if read_frames else tracklet
                _sort_stored(plan, number, before, now, gallery.place)
            renewable = number in plan.changed or number in plan.unknown
            if tracklet.camera not in (None, before.camera) and not renewable:
                plan.other_camera[number] = before
        else:
            unseen.append(tracklet)
    if read_frames:
        unseen = [recorded(one) for one in progress(unseen, "reading frames", unit="tracklet")]
    known = gallery.by_content(one.content for one in unseen if one.content is not None)
    names = {content: one.name for content, (_, one) in known.items()}
    gone = {
        content: (number, one)
        for content, (number, one) in known.items()
        if read_frames and not Path(one.frames[0]).exists()
    }
    for tracklet in unseen:
        if tracklet.content is None:
            plan.new.append(tracklet)
            continue
        if tracklet.content in gone:
            number, before = gone.pop(tracklet.content)
            plan.moved[number] = _renamed(before, tracklet)
            names[tracklet.content] = tracklet.name
        elif names.setdefault(tracklet.content, tracklet.name) == tracklet.name:
            plan.new.append(tracklet)
        else:
            plan.repeated[tracklet.name] = names[tracklet.content]
    return plan


def _looks_the_same(stored: GalleryTracklet, tracklet: GalleryTracklet) -> bool:
    if stored.frames != tracklet.frames or stored.stamp is None:
        return False
    if stored.start is None and tracklet.start is not None:  # its recording was not complete
        return False
    return stored.stamp == _stamp(tracklet.frames)


def _sort_stored(
    plan: Plan, number: int, stored: GalleryTracklet, now: GalleryTracklet, place: str
) -> None:
    """Enters a tracklet whose name is stored, as it is now, into a plan."""
    in_place = stored.frames == now.frames
    if in_place and None in (stored.content, now.content):
        if now.content is not None:
            plan.unknown[number] = now
    elif stored.content == now.content:
        # A table does not know times of files, which a gallery may.
        if now.stamp if in_place else not Path(stored.frames[0]).exists():
            plan.moved[number] = _with_times(stored, now._replace(camera=stored.camera))
    elif _folder(stored) == _folder(now) or not Path(stored.frames[0]).exists():
        plan.changed[number] = now
    else:
        raise name_taken(number, stored, place)


def _renamed(stored: GalleryTracklet, now: GalleryTracklet) -> GalleryTracklet:
    """Returns a stored tracklet as its folder is named now; what that does not tell is kept."""
    camera = stored.camera if now.camera is None else now.camera
    return _with_times(stored, now._replace(camera=camera))


def _with_times(stored: GalleryTracklet, now: GalleryTracklet) -> GalleryTracklet:
    """Returns a tracklet as it is now, with the stored times if it has none."""
    return now._replace(start=stored.start, end=stored.end) if now.start is None else now


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
