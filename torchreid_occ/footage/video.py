"""A video read frame by frame: how many there are, when they were taken, and their pixels."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

FRAME_RATES = (0.1, 1000)  # per second; what a container says beyond these is taken for a mistake
_TEXT = cv2.VideoWriter_fourcc(*"ansi")  # FFmpeg draws text files as if on a terminal


class Video(NamedTuple):
    """What a video holds, counted and not believed from its header.

    OpenCV brings every frame to the size of the first one where the size changes on the way.

    Attributes:
        path: The file.
        times: Seconds of each frame; they grow from frame to frame.
        size: Width and height of the frames in pixels.
        announced: How many frames the header promises; None if it says nothing of use.
    """

    path: Path
    times: np.ndarray
    size: tuple[int, int]
    announced: int | None

    @property
    def frame_rate(self) -> float:
        """Frames a second, by the middle of the steps between them."""
        return 1 / float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1.0


def scan_video(path: str | Path, frame_rate: float | None = None) -> Video:
    """Decodes a video once to learn what is in it; one that ends early says so.

    Args:
        path: The video.
        frame_rate: Frames a second, in place of the times the video gives.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no video, has no frames, or gives no usable times.
    """
    if frame_rate is not None and not FRAME_RATES[0] <= frame_rate <= FRAME_RATES[1]:
        raise ValueError(f"The frame rate is {frame_rate}, but must be within {FRAME_RATES}.")
    path = Path(path).expanduser().absolute()
    with _opened(path) as capture:
        said = capture.get(cv2.CAP_PROP_FPS)
        announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        announced = int(announced) if 0 < announced < 2**31 else None
        size = tuple(
            int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        stamps = progress(_stamps(capture), f"reading {path.name}", announced, "frame")
        stamps = np.array(list(stamps), np.float64)
    if not len(stamps):
        raise ValueError(f"{path} holds no frame that can be decoded: it is empty or damaged.")
    if announced and len(stamps) < announced:
        logger.warning(
            "%s promises %d frames, but ends after %d: it was cut short or is damaged there. What "
            "can be read is used.",
            path,
            announced,
            len(stamps),
        )
    return Video(path, _times(path, stamps, said, frame_rate), size, announced)


def read_frames(video: Video, first: int = 1) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the frames of a video with their numbers, one at a time.

    Args:
        video: From `scan_video`.
        first: Number of the first to yield.

    Shape:
        A frame: `(H, W, 3)`, uint8, in OpenCV's order blue, green, red.

    Raises:
        ValueError: If the video is no longer as it was scanned.
    """
    with _opened(video.path) as capture:
        for number in range(1, len(video.times) + 1):
            read, frame = (capture.grab(), None) if number < first else capture.read()
            if not read:
                raise ValueError(
                    f"{video.path} had {len(video.times)} frames, but frame {number} can't be "
                    "read any more: has it changed?"
                )
            if number >= first:
                yield number, frame


@contextmanager
def _opened(path):
    if not path.is_file():
        raise FileNotFoundError(f"There is no video {path}.")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{str(path)!a} is no name in UTF-8: rename it for OpenCV.") from None
    # An absolute path is never taken for an address or a pattern of numbered images.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened() or capture.get(cv2.CAP_PROP_FOURCC) == _TEXT:
            raise ValueError(
                f"{path} ({path.stat().st_size} bytes) is no video that OpenCV can read: it is "
                "something else, in a format FFmpeg does not know, or was cut off before its index "
                "(an .mp4 is unreadable then). `ffprobe` says which."
            )
        yield capture
    finally:
        capture.release()


def _stamps(capture):
    """The time of each frame in milliseconds, as the container has it."""
    while capture.grab():
        yield capture.get(cv2.CAP_PROP_POS_MSEC)


def _times(path, stamps, said, asked):
    """Seconds of each frame: as asked for, as stamped, or as the header's rate has it."""
    if asked:
        return np.arange(len(stamps)) / asked
    steps = np.diff(stamps) / 1000
    if len(stamps) > 1 and (steps > 0).all() and _plausible(1 / np.median(steps)):
        return (stamps - stamps[0]) / 1000
    if _plausible(said):
        return np.arange(len(stamps)) / said
    raise ValueError(
        f"{path} gives {said:g} frames a second, which can't be, and its frames have no usable "
        "times: say with --fps how many it has."
    )


def _plausible(rate):
    return FRAME_RATES[0] <= rate <= FRAME_RATES[1]
