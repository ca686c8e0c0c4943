"""Tracks cut out of a video as images."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from torchreid_occ.footage.boxes import Boxes
from torchreid_occ.footage.video import Video, read_frames
from torchreid_occ.utils.progress import progress

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


def cut(video: Video, tracks: Boxes, folders: Mapping[int, Path], margin: float):
    """Writes what is in the boxes of tracks, a JPEG for each.

    Args:
        video: The video.
        tracks: Boxes inside its frames.
        folders: Where the images of each track go; they are named by the track's folder and the
            frame's number.
        margin: How much is added around a box, as a share of its width and height; never more
            than the frame has.
    """
    for folder in folders.values():
        folder.mkdir(parents=True)
    ends = np.searchsorted(tracks.frame, np.arange(1, len(video.times) + 2))
    pixels = _pixels(tracks.corners, margin, video.size)
    for number, frame in progress(read_frames(video), "cutting", len(video.times), "frame"):
        for row in range(ends[number - 1], ends[number]):
            left, top, right, bottom = pixels[row]
            folder = folders[int(tracks.track[row])]
            done, content = cv2.imencode(".jpg", frame[top:bottom, left:right], _QUALITY)
            assert done  # JPEG takes any image that is not empty
            (folder / f"{folder.parent.name}_{number:06d}.jpg").write_bytes(content)


def _pixels(corners, margin, size):
    """Whole pixels that cover boxes and their margins, inside the frame."""
    around = margin * np.tile(corners[:, 2:] - corners[:, :2], 2) * (-1, -1, 1, 1)
    low, high = np.split(corners + around, 2, axis=1)
    low, high = np.floor(low).clip(0), np.ceil(high).clip(None, size)
    return np.concatenate([low, high], axis=1).astype(int)
