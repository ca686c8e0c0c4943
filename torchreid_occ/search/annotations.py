"""Tracklets as annotations of the videos that they were cut from: MOT text, and CVAT's XML.

MOT text is MOTChallenge's. "CVAT for video 1.1" is read by CVAT and by FiftyOne (as a
``CVATVideoDataset``): https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from torchreid_occ._types import StrPath
from torchreid_occ.footage.boxes import mot_line
from torchreid_occ.footage.manifest import (
    RecordedTracklet,
    Recording,
    check_names,
    recorded_tracklet,
)
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.files import write_text

FORMATS = {"mot": ".txt", "cvat": ".xml"}  # and what their files end in
_LABEL = "person"


class Written(NamedTuple):
    """What was written.

    Attributes:
        files: The files, one for each recording.
        tracklets: Number of tracklets in them.
        left_out: Number of tracklets that were not cut out of a video.
    """

    files: list[Path]
    tracklets: int
    left_out: int


def write_annotations(
    folder: StrPath, tracklets: Iterable[tuple[int, GalleryTracklet]], file_format: str
) -> Written:
    """Writes a file for each recording, named by it, in which tracks have the tracklets' ids.

    Args:
        folder: Folder of the files.
        tracklets: Ids and tracklets.
        file_format: One of `FORMATS`.

    Raises:
        ValueError: If the format is unknown, no tracklet was cut out of a video, or two recordings
            share a name.
    """
    check_choice("format", file_format, FORMATS)
    found: dict[Recording, list[tuple[int, RecordedTracklet]]] = {}
    left_out = 0
    for number, tracklet in tracklets:
        where = recorded_tracklet(Path(tracklet.frames[0]).parent)
        if where is None:
            left_out += 1
        else:
            found.setdefault((where.dataset, where.recording), []).append((number, where))
    if not found:
        raise ValueError(
            "None of the tracklets was cut out of a video, or their folders have moved (index them "
            "again), so there are no boxes to write."
        )
    check_names(found)
    write = _as_mot if file_format == "mot" else _as_cvat
    files = []
    for (_, name), tracks in found.items():
        files.append(Path(folder, name + FORMATS[file_format]))
        write_text(files[-1], write(name, tracks))
    return Written(files, sum(map(len, found.values())), left_out)


def _as_mot(_name: str, tracks: Sequence[tuple[int, RecordedTracklet]]) -> str:
    rows = [
        (frame, number, box)
        for number, where in tracks
        for frame, box in zip(where.frames, where.boxes, strict=True)
    ]
    return "".join(
        mot_line(frame, (left, top, left + width, top + height), 1, number)
        for frame, number, (left, top, width, height) in sorted(rows)
    )


def _as_cvat(name: str, tracks: Sequence[tuple[int, RecordedTracklet]]) -> str:
    root = ElementTree.Element("annotations")
    _add(root, "version", "1.1")
    task = _add(_add(root, "meta"), "task")
    _add(task, "name", name)
    _add(task, "mode", "interpolation")
    _add(_add(_add(task, "labels"), "label"), "name", _LABEL)
    size = _add(task, "original_size")
    for side, pixels in zip(("width", "height"), tracks[0][1].size, strict=True):
        _add(size, side, str(pixels))
    for number, where in tracks:
        track = ElementTree.SubElement(root, "track", id=str(number), label=_LABEL)
        following = [*where.frames[1:], None]
        for frame, box, after in zip(where.frames, where.boxes, following, strict=True):
            _add_box(track, frame, box)
            if after != frame + 1:  # else CVAT would draw boxes in between, or to the end
                _add_box(track, frame + 1, box, outside=True)
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n"


def _add(parent: ElementTree.Element, tag: str, text: str | None = None) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, tag)
    child.text = text
    return child


def _add_box(
    track: ElementTree.Element, frame: int, box: Sequence[float], outside: bool = False
) -> None:
    """Adds a box to a track; CVAT counts frames from 0."""
    left, top, width, height = box
    corners = {"xtl": left, "ytl": top, "xbr": left + width, "ybr": top + height}
    about = {"frame": str(frame - 1), "outside": str(int(outside)), "occluded": "0"}
    about |= {"keyframe": "1", **{name: f"{value:.2f}" for name, value in corners.items()}}
    ElementTree.SubElement(track, "box", about)
