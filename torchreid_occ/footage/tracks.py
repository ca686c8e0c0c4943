"""Drops boxes and tracks that give no tracklet, and splits tracks at gaps."""

from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.footage.boxes import Boxes, NoTrackletsError
from torchreid_occ.footage.video import Video
from torchreid_occ.utils.logs import logger


def usable(boxes: Boxes, video: Video, min_height: float) -> Boxes:
    """Clips boxes to the frame and drops those outside the video, without area or too low.

    Args:
        boxes: Detections or tracks.
        video: The video of the boxes.
        min_height: Smallest height of a box inside the frame, in pixels.

    Raises:
        NoTrackletsError: If all boxes are too low.
        ValueError: If no box is left for other reasons; says why boxes were dropped.
    """
    late = boxes.frame > len(video.times)
    width, height = video.size
    corners, inside, high = in_frame(boxes.corners, video.size, min_height)
    outside = ~late & ~inside
    low = ~late & ~outside & ~high
    reasons = {
        f"are of frames after the last one, {len(video.times)}": late,
        f"have no area inside the frame of {width}x{height}": outside,
        f"are less than {min_height:g} pixels high (min_height)": low,
    }
    dropped = [f"{mask.sum()} {reason}" for reason, mask in reasons.items() if mask.any()]
    kept = boxes.with_(corners=corners)[~(late | outside | low)]
    if not len(kept):
        error = NoTrackletsError if low.all() else ValueError
        raise error(f"None of {len(boxes)} boxes is usable: {'; '.join(dropped)}.")
    if late.any() or outside.any():
        logger.warning("Dropped boxes, of %d: %s.", len(boxes), "; ".join(dropped))
    return kept


def in_frame(
    corners: npt.NDArray[np.float64], size: tuple[int, int], min_height: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Clips boxes to a frame, and tells which have an area in it and which are high enough.

    Args:
        corners: Left, top, right and bottom, in pixels.
        size: Width and height of the frame.
        min_height: Smallest height of a box inside the frame, in pixels.

    Shape:
        corners: `(N, 4)`; returns `(N, 4)`, `(N,)`, `(N,)`.
    """
    clipped: npt.NDArray[np.float64] = corners.clip(0, (*size, *size))
    sides: npt.NDArray[Any] = clipped[:, 2:] - clipped[:, :2]
    inside = np.logical_and(sides[:, 0] >= 1, sides[:, 1] >= 1)
    return clipped, inside, sides[:, 1] >= min_height


def split_at_gaps(boxes: Boxes, video: Video, max_gap: float) -> Boxes:
    """Splits tracks at gaps and renumbers them from 1 in order of their first frames.

    Args:
        boxes: Tracks.
        video: The video of the tracks.
        max_gap: Longest gap in seconds within a track, see `Video.frames_within`.
    """
    order = np.lexsort((boxes.frame, boxes.track))
    boxes = boxes[order]
    gap = np.diff(boxes.frame) > video.frames_within(max_gap)
    begins = np.concatenate([[True], (np.diff(boxes.track) != 0) | gap])
    part = np.cumsum(begins) - 1
    by_start = np.argsort(boxes.frame[begins], kind="stable")
    number = np.empty_like(by_start)
    number[by_start] = np.arange(1, len(by_start) + 1)
    boxes = boxes.with_(track=number[part])
    return boxes[np.argsort(boxes.frame, kind="stable")]


def long_enough(boxes: Boxes, min_length: int) -> Boxes:
    """Drops short tracks and renumbers the others from 1.

    Args:
        boxes: Tracks.
        min_length: Smallest number of frames of a track.

    Raises:
        NoTrackletsError: If no track is left; says how long the longest was.
    """
    _, inverse, lengths = np.unique(boxes.track, return_inverse=True, return_counts=True)
    kept = lengths >= min_length
    if not kept.any():
        longest = lengths.max()
        raise NoTrackletsError(
            f"No track has {min_length} frames (min_length): the longest has {longest}."
        )
    renumbered = np.cumsum(kept)
    return boxes.with_(track=renumbered[inverse])[kept[inverse]]
