"""Reads videos frame by frame: the number of frames, their times and their pixels."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

FRAME_RATES = (0.1, 1000)  # plausible frames per second
_TEXT = cv2.VideoWriter.fourcc(*"ansi")  # the codec by which FFmpeg renders text files


class Video(NamedTuple):
    """Frames of a video, counted by decoding it because its header may be wrong.

    Where the frame size changes, OpenCV resizes later frames to the size of the first.

    Attributes:
        path: The file.
        times: Time of each frame in seconds, strictly increasing. Shape: `(N,)`.
        size: Width and height of the frames in pixels.
        announced: Number of frames by the header; None if it gives no plausible number.
    """

    path: Path
    times: npt.NDArray[np.float64]
    size: tuple[int, int]
    announced: int | None

    @property
    def frame_rate(self) -> float:
        """Frames per second, from the median time between frames."""
        return 1 / float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1.0

    def frames_within(self, gap: float) -> int:
        """Returns how many frames after a box its track may continue.

        A gap is counted in steps of this video with half a step of tolerance, so that neither
        rounding nor a camera that stalls ends a track. The next frame is always within.

        Args:
            gap: Longest gap in seconds.
        """
        return max(1, math.floor(min(gap * self.frame_rate + 0.5, len(self.times))))


def scan_video(path: StrPath, frame_rate: float | None = None) -> Video:
    """Decodes a video once to count its frames and read their times; warns if it ends early.

    Args:
        path: The video.
        frame_rate: Frames per second, in place of the times in the video.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no video, has no frames, or has no plausible times.
    """
    if frame_rate is not None and not FRAME_RATES[0] <= frame_rate <= FRAME_RATES[1]:
        raise ValueError(f"The frame rate is {frame_rate}, but must be within {FRAME_RATES}.")
    path = Path(path).expanduser().absolute()
    with _opened(path) as capture:
        header_rate = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        announced = int(count) if 0 < count < 2**31 else None
        width, height = (
            int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        read = progress(_stamps(capture), f"reading {path.name}", announced, "frame")
        stamps = np.array(list(read), np.float64)
    if not len(stamps):
        raise ValueError(f"{path} holds no frame that can be decoded: it is empty or damaged.")
    if announced and len(stamps) < announced:
        logger.warning(
            "%s has %d frames by its header, but ends after %d: it was cut short or is damaged. "
            "The frames before are used.",
            path,
            announced,
            len(stamps),
        )
    times = _times(path, stamps, header_rate, frame_rate)
    return Video(path, times, (width, height), announced)


def read_frames(video: Video, first: int = 1) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yields the frames of a video with their numbers, which count from 1.

    Args:
        video: Result of `scan_video`.
        first: Number of the first frame to yield.

    Shape:
        A frame: `(H, W, 3)`, in OpenCV's channel order blue, green, red.

    Raises:
        ValueError: If the file has changed since it was scanned.
    """
    with _opened(video.path) as capture:
        for number in range(1, len(video.times) + 1):
            frame: Any = None
            if number < first:
                read = capture.grab()
            else:
                read, frame = capture.read()
            if not read:
                raise ValueError(
                    f"{video.path} had {len(video.times)} frames, but frame {number} cannot be "
                    "read any more: the file has changed."
                )
            if number >= first:
                yield number, frame


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no video {path}.")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{str(path)!a} is not a name in UTF-8: rename it for OpenCV.") from None
    # An absolute path is never taken for a URL or a pattern of numbered images.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened() or capture.get(cv2.CAP_PROP_FOURCC) == _TEXT:
            raise ValueError(
                f"{path} ({path.stat().st_size} bytes) is no video that OpenCV can read: it is "
                "another kind of file, has a format that FFmpeg does not know, or was cut off "
                "before its index (an .mp4 is unreadable then). `ffprobe` shows which."
            )
        yield capture
    finally:
        capture.release()


def _stamps(capture: cv2.VideoCapture) -> Iterator[float]:
    """Yields the time of each frame in milliseconds, as stored in the container."""
    while capture.grab():
        yield capture.get(cv2.CAP_PROP_POS_MSEC)


def _times(
    path: Path, stamps: npt.NDArray[np.float64], header_rate: float, frame_rate: float | None
) -> npt.NDArray[np.float64]:
    """Returns the seconds of each frame: by `frame_rate`, by the stamps, or by the header."""
    if frame_rate:
        return np.arange(len(stamps)) / frame_rate
    steps = np.diff(stamps) / 1000
    if len(stamps) > 1 and (steps > 0).all() and _plausible(float(1 / np.median(steps))):
        return (stamps - stamps[0]) / 1000
    if _plausible(header_rate):
        return np.arange(len(stamps)) / header_rate
    raise ValueError(
        f"{path} gives an impossible {header_rate:g} frames a second, and its frames have no "
        "usable times: give its frame rate (frame_rate)."
    )


def _plausible(rate: float) -> bool:
    return FRAME_RATES[0] <= rate <= FRAME_RATES[1]
