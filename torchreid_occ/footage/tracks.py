"""Which boxes and which tracks are of use."""

import numpy as np

from torchreid_occ.footage.boxes import Boxes
from torchreid_occ.footage.video import Video
from torchreid_occ.utils.logs import logger


def usable(boxes: Boxes, video: Video, min_height: float) -> Boxes:
    """Boxes cut to their frame, without those of which nothing is left or that are too low.

    Args:
        boxes: Detections or tracks.
        video: What they were found in.
        min_height: Pixels of height, inside the frame, that a box needs.

    Raises:
        ValueError: If none is left; says what became of them.
    """
    late = boxes.frame > len(video.times)
    width, height = video.size
    corners = boxes.corners.clip(0, (width, height, width, height))
    outside = ~late & ((corners[:, 2:] - corners[:, :2]) < 1).any(1)
    low = ~late & ~outside & (corners[:, 3] - corners[:, 1] < min_height)
    reasons = {
        f"are of frames after the last one, {len(video.times)}": late,
        f"have no area inside the frame of {width}x{height}": outside,
        f"are less than {min_height:g} pixels high (--min-height)": low,
    }
    left_out = [f"{mask.sum()} {reason}" for reason, mask in reasons.items() if mask.any()]
    kept = boxes.with_(corners=corners)[~(late | outside | low)]
    if not len(kept):
        raise ValueError(f"None of {len(boxes)} boxes is of use: {'; '.join(left_out)}.")
    if late.any() or outside.any():
        logger.warning("Of %d boxes, left out: %s.", len(boxes), "; ".join(left_out))
    return kept


def split_at_gaps(boxes: Boxes, video: Video, max_gap: float) -> Boxes:
    """Gives what follows a gap in a track a number of its own; tracks count from 1 in time.

    Args:
        boxes: Tracks.
        video: What they were found in.
        max_gap: Seconds that a track may miss.
    """
    order = np.lexsort((boxes.frame, boxes.track))
    boxes = boxes[order]
    seconds = np.diff(video.times[boxes.frame - 1])
    # A step between neighbouring frames is no gap, however slow the video.
    gap = (seconds > max_gap) & (np.diff(boxes.frame) > 1)
    begins = np.concatenate([[True], (np.diff(boxes.track) != 0) | gap])
    part = np.cumsum(begins) - 1
    by_start = np.argsort(boxes.frame[begins], kind="stable")
    number = np.empty_like(by_start)
    number[by_start] = np.arange(1, len(by_start) + 1)
    boxes = boxes.with_(track=number[part])
    return boxes[np.argsort(boxes.frame, kind="stable")]


def long_enough(boxes: Boxes, min_length: int) -> Boxes:
    """Tracks of at least so many frames, counted from 1.

    Args:
        boxes: Boxes that belong to tracks.
        min_length: The least number of frames.

    Raises:
        ValueError: If there is none; says how long the longest is.
    """
    _, inverse, lengths = np.unique(boxes.track, return_inverse=True, return_counts=True)
    kept = lengths >= min_length
    if not kept.any():
        longest = lengths.max()
        raise ValueError(
            f"No track has {min_length} frames (--min-length): the longest has {longest}."
        )
    renumbered = np.cumsum(kept)
    return boxes.with_(track=renumbered[inverse])[kept[inverse]]
