"""Reads a video once, frame by frame, and finds out how many frames it has and their times."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ.footage.image_sequence import ImageSequence, find_sequence, read_sequence
from torchreid_occ.footage.pyav import (
    VideoStream,
    decoded,
    excess_frames,
    header_rate,
    mirrored,
    pyav,
    video_streams,
)
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

Frame: TypeAlias = npt.NDArray[np.uint8]  # (H, W, 3), in OpenCV's channel order blue, green, red
Wanted: TypeAlias = Callable[[int], bool]  # whether the pixels of a frame are, by its number

FRAME_RATES = (0.1, 1000)  # plausible frames per second
_TEXT = cv2.VideoWriter.fourcc(*"ansi")  # the codec by which FFmpeg renders text files


class Reading:
    """One pass over a video, or a folder of images in its place; see `find_sequence`.

    Frames are counted by decoding them, because the header may be wrong. If OpenCV decodes none,
    PyAV reads the video. Where the frame size changes, later frames are resized to the first one's.

    Args:
        path: The video, which exists.
        frame_rate: Frames per second, in place of the times in the video.

    Attributes:
        path: The video.
        size: Width and height of the frames in pixels, known with the first one.
        announced: Number of frames by the header; None if it gives no plausible number.
        reader: What reads the frames.

    Raises:
        ValueError: If the frame rate is not plausible.
    """

    def __init__(self, path: Path, frame_rate: float | None = None) -> None:
        if frame_rate is not None and not _plausible(frame_rate):
            raise ValueError(f"The frame rate is {frame_rate}, but must be within {FRAME_RATES}.")
        self.path = path
        self.size = 0, 0
        self.announced: int | None = None
        self.reader: Literal["opencv", "pyav", "images"] = "opencv"
        self._frame_rate = frame_rate
        self._header_rate = 0.0
        self._stream: VideoStream | None = None
        self._stamps: list[float] = []  # milliseconds

    def frames(self, wanted: Wanted) -> Iterator[tuple[int, Frame | None]]:
        """Yields all frames with their numbers, which count from 1; warns if the video ends early.

        Args:
            wanted: Tells whether the pixels of a frame are wanted; others may be None.

        Raises:
            ValueError: If this is no video, or has no frames.
        """
        source = self._images() if self.path.is_dir() else self._file(wanted)
        for number, (stamp, pixels) in enumerate(source, start=1):
            self._stamps.append(stamp)
            yield number, pixels
        missing = (self.announced or 0) - len(self._stamps)
        if missing > 0 and (self.path.is_dir() or missing > excess_frames(self.path)):
            logger.warning(
                "%s has %d frames by its header, but ends after %d: it was cut short or is "
                "damaged. The frames before are used.",
                self.path,
                self.announced,
                len(self._stamps),
            )

    def times(self) -> npt.NDArray[np.float64]:
        """Returns the seconds of each frame, after all were read.

        They are those of `frame_rate`, if it was given; the video's own, if they increase; else
        those of a constant rate: of the median step between them, of the coded stream or of the
        header. Warns if the video's own times go back, or if it has none.

        Raises:
            ValueError: If there are no plausible times.
        """
        stamps = np.array(self._stamps, np.float64)
        if self._frame_rate:
            return np.arange(len(stamps)) / self._frame_rate
        steps = np.diff(stamps) / 1000
        step = float(np.median(steps)) if len(steps) else 0.0
        rate = 1 / step if step > 0 else 0.0
        timed = self._stream is None or self._stream.timed
        if timed and _plausible(rate):
            if (steps > 0).all():
                return (stamps - stamps[0]) / 1000
            logger.warning(
                "The times of %s do not increase at frame %d, as where recordings were joined "
                "without being encoded again: its frames are taken to come %g a second. If they "
                "do not, give its frame rate (frame_rate).",
                self.path,
                int(np.argmin(steps > 0)) + 2,
                rate,
            )
            return np.arange(len(stamps)) / rate
        stated = 0.0 if self._stream is None else self._stream.stated_rate
        rate = stated if _plausible(stated) else self._header_rate
        if _plausible(rate):
            if len(stamps) > 1:
                logger.warning(
                    "The frames of %s have no times, as in a stream without a container: they are "
                    "taken to come %g a second, as %s. If they do not, give its frame rate "
                    "(frame_rate).",
                    self.path,
                    rate,
                    "it says itself" if rate == stated else "FFmpeg does if it does not know",
                )
            return np.arange(len(stamps)) / rate
        raise ValueError(
            f"{self.path} gives an impossible {self._header_rate:g} frames a second, and its "
            "frames have no usable times: give its frame rate (frame_rate)."
        )

    def _images(self) -> Iterator[tuple[float, Frame | None]]:
        sequence = find_sequence(self.path)
        rate = self._frame_rate = _rate(self.path, sequence, self._frame_rate)
        self.reader, self.announced = "images", sequence.announced
        frames = read_sequence(sequence)
        for number, pixels in self._shown(frames, len(sequence.frames)):
            self.size = pixels.shape[1], pixels.shape[0]
            yield 1000 * (number - 1) / rate, pixels

    def _file(self, wanted: Wanted) -> Iterator[tuple[float, Frame | None]]:
        streams = video_streams(self.path)
        _say_what_is_read(self.path, streams)
        self._stream = streams[0] if streams else None
        with opened(self.path) as capture:
            self._header_rate = capture.get(cv2.CAP_PROP_FPS)
            count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            self.announced = int(count) if 0 < count < 2**31 else None
            width, height = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
            self.size = int(capture.get(width)), int(capture.get(height))
            codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
            yield from self._shown(grabbed(capture, wanted), self.announced)
        if not self._stamps:
            yield from self._by_pyav(wanted, codec.decode("ascii", "replace").strip("\0 "))

    def _by_pyav(self, wanted: Wanted, codec: str) -> Iterator[tuple[float, Frame | None]]:
        """Reads a video of which OpenCV decodes no frame."""
        for time, pixels in self._shown(decoded(self.path, wanted), None):
            if not self._stamps:  # the first, whose pixels are always there
                assert pixels is not None
                self.reader, self._header_rate = "pyav", header_rate(self.path)
                self.size = pixels.shape[1], pixels.shape[0]
            yield 1000 * time, pixels
        if self._stamps:
            logger.info("%s was read by PyAV: OpenCV decodes no frame of %s.", self.path, codec)
            return
        missing = (
            "PyAV, which `pip install torchreid-occ[footage]` installs, may"
            if pyav() is None
            else "neither does PyAV"
        )
        raise ValueError(
            f"{self.path} holds no frame that can be decoded: it is empty or damaged, or OpenCV "
            f"{cv2.__version__} has no decoder of its codec, {codec or 'unknown'!r} ({missing}). "
            "Convert it, such as by `ffmpeg -i FILE -c:v libx264 gate.mp4`, or write its frames "
            "as images to a folder and give that folder and its frame rate."
        )

    def _shown(self, frames: Iterator[Any], total: int | None) -> Any:
        return progress(frames, f"reading {self.path.name}", total, "frame")


@contextmanager
def opened(path: Path) -> Iterator[cv2.VideoCapture]:
    """Opens a video by OpenCV.

    Args:
        path: The file, by an absolute path, which is never taken for a URL or a pattern of numbered
            images.

    Raises:
        ValueError: If it is no video, or its name is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{str(path)!a} is not a name in UTF-8: rename it for OpenCV.") from None
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


def grabbed(capture: cv2.VideoCapture, wanted: Wanted) -> Iterator[tuple[float, Frame | None]]:
    """Yields the time of each frame in milliseconds, as stored in the container, and its pixels.

    Args:
        capture: An opened video.
        wanted: Tells whether the pixels of a frame are wanted; others are None.
    """
    number = 0
    while capture.grab():
        number += 1
        pixels: Any = None
        if wanted(number):
            converted, pixels = capture.retrieve()
            if not converted:
                return
        yield capture.get(cv2.CAP_PROP_POS_MSEC), pixels


def _rate(path: Path, sequence: ImageSequence, frame_rate: float | None) -> float:
    rate = frame_rate or sequence.frame_rate
    if rate is None or not _plausible(rate):
        found = "no seqinfo.ini gives a" if rate is None else f"{sequence.info} gives an impossible"
        raise ValueError(f"{path} holds images, and {found} frame rate: give it (frame_rate).")
    return rate


def _say_what_is_read(path: Path, streams: Sequence[VideoStream]) -> None:
    if len(streams) > 1:
        logger.warning(
            "%s holds %d video streams (%s): the first is read. `ffmpeg -i FILE -map 0:v:1 -c copy "
            "second.mkv` writes the second to a file of its own.",
            path,
            len(streams),
            "; ".join(stream.title for stream in streams),
        )
    if streams and streams[0].hd_without_matrix:
        logger.warning(
            "%s is HD and does not say how its colours were encoded: they are read by BT.601. If "
            "its camera writes BT.709, they are off by up to 17 of 255; see 'Colours' in "
            "docs/footage.md.",
            path,
        )
    if mirrored(path):
        logger.warning(
            "%s is to be shown mirrored, which is taken for a turn: people may be upside down. "
            "`ffmpeg -i FILE upright.mp4` writes its frames as they are to be shown.",
            path,
        )


def _plausible(rate: float) -> bool:
    return FRAME_RATES[0] <= rate <= FRAME_RATES[1]
