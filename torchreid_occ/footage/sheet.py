"""Draws a page of a recording's tracklets to look through, and marks those to doubt."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from torchreid_occ.data.datasets.base import list_frames
from torchreid_occ.data.frame_strip import Picture, embedded, spread_frames
from torchreid_occ.data.images import read_image
from torchreid_occ.footage.boxes import Boxes
from torchreid_occ.footage.video import Video
from torchreid_occ.utils.durations import clock
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.templates import templates_in

_FRAMES, _HEIGHT, _WIDTH = 10, 128, 112  # shown of a tracklet; the largest size of each
_COVERED = 0.3  # share of the smaller of two boxes that lies in both, from which they overlap much
_OFTEN = 0.25  # share of a tracklet's frames in which it overlaps others much, to be marked
_STILL = 0.1  # of its height: how far 9 of 10 boxes may be from the median place of a still one
_STILL_SECONDS = 3.0


class TrackletFacts(NamedTuple):
    """What tells a doubtful tracklet.

    Attributes:
        number: The track.
        frames: Number of its frames.
        first: Number of its first frame.
        last: Number of its last frame.
        start: Seconds of its first frame.
        end: Seconds of its last frame.
        score: Median score of its boxes.
        height: Median height of its boxes in pixels.
        overlapping: Share of its frames in which its box and that of another tracklet share three
            tenths of the smaller one.
        still: Whether it stays in its place for three seconds or longer.
    """

    number: int
    frames: int
    first: int
    last: int
    start: float
    end: float
    score: float
    height: float
    overlapping: float
    still: bool

    @property
    def overlaps_others(self) -> bool:
        """Whether a box may hold two people."""
        return self.overlapping >= _OFTEN

    @property
    def doubtful(self) -> bool:
        """Whether the tracklet is marked."""
        return self.still or self.overlaps_others


def write_sheet(
    path: Path, name: str, tracks: Boxes, video: Video, folders: Mapping[int, Path]
) -> None:
    """Writes a page with a strip of frames and the facts of each tracklet; it needs no other file.

    Args:
        path: The page.
        name: Name of the recording.
        tracks: The tracklets' boxes.
        video: Their video.
        folders: Folder of each track's images.
    """
    facts = facts_of_tracklets(tracks, video)
    page = (
        templates_in("torchreid_occ.footage")
        .get_template("sheet.html")
        .render(
            name=name,
            video=video,
            tracklets=[(one, folders[one.number].parent.name) for one in facts],
            doubtful=[one for one in facts if one.doubtful],
            strip=lambda one: _strip(folders[one.number]),
            clock=clock,
        )
    )
    write_text(path, page)


def facts_of_tracklets(tracks: Boxes, video: Video) -> list[TrackletFacts]:
    """Returns the facts of each tracklet, in the order of their numbers.

    Args:
        tracks: The tracklets' boxes.
        video: Their video.
    """
    covered = _covered(tracks)
    facts = []
    for number in np.unique(tracks.track).tolist():
        rows = tracks.track == number
        own = tracks[rows]
        height = float(np.median(own.corners[:, 3] - own.corners[:, 1]))
        start, end = video.times[own.frame[[0, -1]] - 1].tolist()
        centres = (own.corners[:, :2] + own.corners[:, 2:]) / 2
        distance = np.abs(centres - np.median(centres, axis=0)).max(axis=1)
        still = float(np.quantile(distance, 0.9)) <= _STILL * height
        facts.append(
            TrackletFacts(
                number=number,
                frames=len(own),
                first=int(own.frame[0]),
                last=int(own.frame[-1]),
                start=start,
                end=end,
                score=float(np.median(own.score)),
                height=height,
                overlapping=float(covered[rows].mean()),
                still=still and end - start >= _STILL_SECONDS,
            )
        )
    return facts


def _covered(boxes: Boxes) -> npt.NDArray[np.bool_]:
    """Returns which boxes overlap another of their frame by three tenths of the smaller one."""
    covered = np.zeros(len(boxes), np.bool_)
    sides = boxes.corners[:, 2:] - boxes.corners[:, :2]
    areas = sides.prod(axis=1)
    begins = np.flatnonzero(np.diff(boxes.frame, prepend=-1))
    for first, end in zip(begins, [*begins[1:], len(boxes)], strict=True):
        own = boxes.corners[first:end]
        low = np.maximum(own[:, None, :2], own[None, :, :2])
        high = np.minimum(own[:, None, 2:], own[None, :, 2:])
        shared = (high - low).clip(0).prod(axis=2)
        np.fill_diagonal(shared, 0)
        smaller = np.minimum(areas[first:end, None], areas[None, first:end])
        covered[first:end] = (shared >= _COVERED * smaller).any(axis=1)
    return covered


def _strip(folder: Path) -> Picture:
    """Draws frames of a tracklet side by side, in their own proportions."""
    frames = []
    for path in spread_frames(list_frames(folder), _FRAMES):
        frame = read_image(path)
        scale = min(_HEIGHT / frame.height, _WIDTH / frame.width)
        size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        frames.append(frame.resize(size, Image.Resampling.BICUBIC))
    strip = Image.new("RGB", (sum(frame.width + 2 for frame in frames) - 2, _HEIGHT), "white")
    left = 0
    for frame in frames:
        strip.paste(frame, (left, 0))
        left += frame.width + 2
    return embedded(strip, "JPEG", quality=80)
