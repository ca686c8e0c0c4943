"""Which frames of a tracklet make a clip, and which test clips a batch."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from torchreid_occ.utils.checks import check_choice

SAMPLING_METHODS = ("consecutive", "strided", "random", "evenly")


def sample_clip(
    method: str, num_frames: int, seq_len: int, stride: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draws the frame indices of one training clip, in temporal order.

    ``'consecutive'`` and ``'strided'`` start at random; a stride that does not fit shrinks to the
    largest that does. ``'random'`` draws without replacement. ``'evenly'`` is torchreid's: the
    first frame of each of ``seq_len`` equal parts. A tracklet shorter than the clip repeats its
    frames in order, cyclically (0 1 2 0 1 2).

    Args:
        method: One of ``SAMPLING_METHODS``.
        num_frames: Frames in the tracklet.
        seq_len: Frames in the clip.
        stride: Distance between neighbouring frames, read by ``'strided'`` only.
        rng: Random number generator.

    Raises:
        ValueError: If the method is unknown or a number is below 1.
    """
    check_choice("sampling method", method, SAMPLING_METHODS)
    for name, value in (("num_frames", num_frames), ("seq_len", seq_len), ("stride", stride)):
        if value < 1:
            raise ValueError(f"Received {name}={value}, but it must be at least 1.")

    if num_frames < seq_len:
        return np.arange(seq_len) % num_frames
    if method == "random":
        return np.sort(rng.choice(num_frames, seq_len, replace=False))
    if method == "evenly":
        return np.arange(seq_len) * (num_frames // seq_len)
    # Paper silent [D1]: a stride that does not fit shrinks.
    step = 1 if method == "consecutive" else _largest_fitting(stride, num_frames, seq_len)
    last_start = num_frames - 1 - (seq_len - 1) * step
    return rng.integers(last_start + 1) + np.arange(seq_len) * step


def split_into_clips(num_frames: int, clip_len: int) -> list[tuple[int, int]]:
    """Cuts a tracklet into consecutive clips that hold each frame once ("all in clips").

    Args:
        num_frames: Frames in the tracklet.
        clip_len: Frames in a clip, the last one being shorter; 0 keeps the tracklet whole.

    Returns:
        ``(start, stop)`` of each clip.

    Raises:
        ValueError: If the tracklet has no frame or the length is negative.
    """
    if num_frames < 1 or clip_len < 0:
        raise ValueError(
            f"Received num_frames={num_frames} and clip_len={clip_len}, but num_frames must be at "
            "least 1 and clip_len at least 0 (0: the whole tracklet)."
        )
    step = clip_len or num_frames
    return [(start, min(start + step, num_frames)) for start in range(0, num_frames, step)]


def batches_of_equal_length(
    clips: Sequence[tuple[int, int, int]], batch_size: int, clip_len: int
) -> list[list[int]]:
    """Puts test clips of equal length together, across tracklets.

    No batch holds more than ``batch_size * clip_len`` frames, so short clips come in larger
    batches. For whole tracklets (``clip_len`` 0) the longest one stands for ``clip_len``. Long
    clips come first, so that a batch that does not fit into memory fails at the start.

    Args:
        clips: ``(tracklet, start, stop)`` of each clip.
        batch_size: Clips of full length in a batch.
        clip_len: Frames in a full clip, 0 for whole tracklets.

    Returns:
        The indices of the clips of each batch.
    """
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for index, (_, start, stop) in enumerate(clips):
        by_length[stop - start].append(index)
    max_frames = batch_size * (clip_len or max(by_length, default=0))
    batches: list[list[int]] = []
    for length, indices in sorted(by_length.items(), reverse=True):
        size = max_frames // length
        batches += (indices[i : i + size] for i in range(0, len(indices), size))
    return batches


def _largest_fitting(stride: int, num_frames: int, seq_len: int) -> int:
    return min(stride, (num_frames - 1) // max(seq_len - 1, 1)) or 1
