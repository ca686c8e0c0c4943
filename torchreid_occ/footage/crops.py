"""Writes the crops of tracks, and whole frames of the video, as images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ.footage.boxes import Boxes
from torchreid_occ.footage.video import Video, read_frames
from torchreid_occ.utils.progress import progress

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]
_QUALITY_OF_FRAMES = [cv2.IMWRITE_WEBP_QUALITY, 80]
_WIDEST = 960  # pixels of a whole frame, which is to be looked at only


def write_crops(
    video: Video,
    tracks: Boxes,
    folders: Mapping[int, Path],
    margin: float,
    moments: Mapping[Path, int],
) -> None:
    """Writes the crop of each box as a JPEG file, and some whole frames.

    Args:
        video: The video.
        tracks: Boxes inside its frames.
        folders: Folder of each track's images, which are named by the track's parent folder and
            the frame's number.
        margin: Margin around a box, as a share of its width and height; cut off at the border of
            the frame.
        moments: Numbers of frames to write whole, at most 960 pixels wide, by the file.
    """
    for folder in {*folders.values(), *(file.parent for file in moments)}:
        folder.mkdir(parents=True)
    whole: dict[int, list[Path]] = {}
    for file, number in moments.items():
        whole.setdefault(number, []).append(file)
    ends = np.searchsorted(tracks.frame, np.arange(1, len(video.times) + 2))
    pixels = _pixels(tracks.corners, margin, video.size)
    for number, frame in progress(read_frames(video), "cropping", len(video.times), "frame"):
        for row in range(ends[number - 1], ends[number]):
            left, top, right, bottom = pixels[row]
            folder = folders[int(tracks.track[row])]
            file = folder / f"{folder.parent.name}_{number:06d}.jpg"
            _write(file, frame[top:bottom, left:right], _QUALITY)
        for file in whole.get(number, ()):
            scale = min(1.0, _WIDEST / frame.shape[1])
            smaller = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            _write(file, smaller, _QUALITY_OF_FRAMES)


def _write(file: Path, pixels: npt.NDArray[Any], options: list[int]) -> None:
    encoded, content = cv2.imencode(file.suffix, pixels, options)
    assert encoded  # JPEG and WebP take any image of such a size that is not empty
    file.write_bytes(content.tobytes())


def _pixels(
    corners: npt.NDArray[np.float64], margin: float, size: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """Returns the smallest whole-pixel boxes that cover boxes and their margins in the frame."""
    around = margin * np.tile(corners[:, 2:] - corners[:, :2], 2) * (-1, -1, 1, 1)
    low, high = np.split(corners + around, 2, axis=1)
    low, high = np.floor(low).clip(0), np.ceil(high).clip(None, size)
    return np.concatenate([low, high], axis=1).astype(np.int64)
