"""Reads videos frame by frame: the number of frames, their times and their pixels."""

import hashlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.footage.image_sequence import find_sequence, read_sequence
from torchreid_occ.footage.pyav import decoded, header_rate, pyav, video_streams
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

FRAME_RATES = (0.1, 1000)  # plausible frames per second
_TEXT = cv2.VideoWriter.fourcc(*"ansi")  # the codec by which FFmpeg renders text files


class Video(NamedTuple):
    """Frames of a video, counted by decoding it because its header may be wrong.

    Where the frame size changes, OpenCV resizes later frames to the size of the first.

    Attributes:
        path: The file, or a folder of images.
        times: Time of each frame in seconds, strictly increasing. Shape: `(N,)`.
        size: Width and height of the frames in pixels.
        announced: Number of frames by the header; None if it gives no plausible number.
        reader: What reads the frames.
    """

    path: Path
    times: npt.NDArray[np.float64]
    size: tuple[int, int]
    announced: int | None
    reader: Literal["opencv", "pyav", "images"] = "opencv"

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

    A folder of images may stand in place of a video, see `find_sequence`. If OpenCV decodes no
    frame, PyAV reads the video.

    Args:
        path: The video.
        frame_rate: Frames per second, in place of the times in the video.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no video, has no frames, or has no plausible times.
    """
    if frame_rate is not None and not _plausible(frame_rate):
        raise ValueError(f"The frame rate is {frame_rate}, but must be within {FRAME_RATES}.")
    path = existing_video(path)
    if path.is_dir():
        return _scan_sequence(path, frame_rate)
    _say_which_stream(path)
    with _opened(path) as capture:
        rate = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        announced = int(count) if 0 < count < 2**31 else None
        width, height = (
            int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        read = progress(_stamps(capture), f"reading {path.name}", announced, "frame")
        stamps = np.array(list(read), np.float64)
    if not len(stamps):
        name = codec.decode("ascii", "replace").strip("\0 ")
        return _scan_with_pyav(path, frame_rate, name, announced)
    _warn_if_cut_short(path, len(stamps), announced)
    times = _times(path, stamps, rate, frame_rate)
    return Video(path, times, (width, height), announced)


def existing_video(path: StrPath) -> Path:
    """Returns the absolute path of a video or a folder of images.

    Args:
        path: The path.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is the address of a stream, or a device.
    """
    absolute = Path(path).expanduser().absolute()
    if absolute.is_file() or absolute.is_dir():
        return absolute
    stream = re.match(r"([a-z][a-z0-9+.-]+):/", str(path), re.IGNORECASE)
    kind = f"address of a stream ({stream[1].lower()})" if stream else "path of a device or a pipe"
    if absolute.exists() or (stream and stream[1].lower() != "file"):
        raise ValueError(
            f"This is the {kind}, not of a video file. A stream has no end, and frames are read "
            "more than once: record it first, such as a minute by `ffmpeg -i ADDRESS -t 60 -c copy "
            "gate.mkv`, and give that file."
        )
    raise FileNotFoundError(f"There is no video {path}.")


def video_hash(path: StrPath) -> str:
    """Returns the SHA-256 of a video's content; of a folder, that of its frames and their names.

    Args:
        path: The video, or the folder of images.
    """
    path = existing_video(path)
    if path.is_file():
        return file_hash(path)
    sequence = find_sequence(path)
    files = [*map(Path, sequence.frames), *([sequence.info] if sequence.info else [])]
    listed = "".join(f"{file.name} {file_hash(file)}\n" for file in files)
    return hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()


def read_frames(video: Video, first: int = 1) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yields the frames of a video with their numbers, which count from 1.

    All frames are decoded in order: seeking by number or time finds other frames where the frame
    rate varies.

    Args:
        video: Result of `scan_video`.
        first: Number of the first frame to yield.

    Shape:
        A frame: `(H, W, 3)`, in OpenCV's channel order blue, green, red.

    Raises:
        ValueError: If the file has changed since it was scanned.
    """
    source = {"opencv": _read_with_opencv, "pyav": _read_with_pyav, "images": _read_images}
    number = first - 1
    for number, frame in source[video.reader](video, first):
        yield number, frame
    if number < len(video.times):
        raise ValueError(
            f"{video.path} had {len(video.times)} frames, but frame {number + 1} cannot be "
            "read any more: the file has changed."
        )


def _read_with_opencv(video: Video, first: int) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    with _opened(video.path) as capture:
        for number in range(1, len(video.times) + 1):
            if number < first:
                if not capture.grab():
                    return
                continue
            read, frame = capture.read()
            if not read:
                return
            pixels: Any = frame
            yield number, pixels


def _read_with_pyav(video: Video, first: int) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    for number, (_, pixels) in enumerate(decoded(video.path, first), start=1):
        if number > len(video.times):
            return
        if number >= first and pixels is not None:
            yield number, pixels


def _read_images(video: Video, first: int) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    sequence = find_sequence(video.path)
    return read_sequence(sequence._replace(frames=sequence.frames[: len(video.times)]), first)


def _scan_sequence(path: Path, frame_rate: float | None) -> Video:
    """Decodes all images of a folder once."""
    sequence = find_sequence(path)
    rate = frame_rate or sequence.frame_rate
    if rate is None or not _plausible(rate):
        found = "no seqinfo.ini gives a" if rate is None else f"{sequence.info} gives an impossible"
        raise ValueError(f"{path} holds images, and {found} frame rate: give it (frame_rate).")
    frames = read_sequence(sequence)
    shapes = [
        frame.shape
        for _, frame in progress(frames, f"reading {path.name}", len(sequence.frames), "frame")
    ]
    _warn_if_cut_short(path, len(shapes), sequence.announced)
    height, width, _ = shapes[0]
    times = np.arange(len(shapes)) / rate
    return Video(path, times, (width, height), sequence.announced, "images")


def _scan_with_pyav(
    path: Path, frame_rate: float | None, codec: str, announced: int | None
) -> Video:
    """Reads a video of which OpenCV decodes no frame."""
    stamps: list[float] = []
    size: tuple[int, int] | None = None
    for time, pixels in progress(decoded(path), f"reading {path.name}", None, "frame"):
        stamps.append(1000 * time)
        if size is None and pixels is not None:
            size = pixels.shape[1], pixels.shape[0]
    if size is None:
        missing = (
            "PyAV, which `pip install torchreid-occ[footage]` installs, may"
            if pyav() is None
            else "neither does PyAV"
        )
        raise ValueError(
            f"{path} holds no frame that can be decoded: it is empty or damaged, or OpenCV "
            f"{cv2.__version__} has no decoder of its codec, {codec or 'unknown'!r} ({missing}). "
            "Convert it, such as by `ffmpeg -i FILE -c:v libx264 gate.mp4`, or write its frames "
            "as images to a folder and give that folder and its frame rate."
        )
    rate = header_rate(path)
    logger.info("%s is read by PyAV: OpenCV decodes no frame of its codec %s.", path, codec)
    _warn_if_cut_short(path, len(stamps), announced)
    times = _times(path, np.array(stamps), rate, frame_rate)
    return Video(path, times, size, announced, "pyav")


def _say_which_stream(path: Path) -> None:
    streams = video_streams(path)
    if len(streams) > 1:
        logger.warning(
            "%s holds %d video streams (%s): the first is read. `ffmpeg -i FILE -map 0:v:1 -c copy "
            "second.mkv` writes the second to a file of its own.",
            path,
            len(streams),
            "; ".join(streams),
        )


def _warn_if_cut_short(path: Path, frames: int, announced: int | None) -> None:
    if announced and frames < announced:
        logger.warning(
            "%s has %d frames by its header, but ends after %d: it was cut short or is damaged. "
            "The frames before are used.",
            path,
            announced,
            frames,
        )


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
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
    path: Path, stamps: npt.NDArray[np.float64], header: float, frame_rate: float | None
) -> npt.NDArray[np.float64]:
    """Returns the seconds of each frame: by `frame_rate`, by the stamps, or by the header."""
    if frame_rate:
        return np.arange(len(stamps)) / frame_rate
    steps = np.diff(stamps) / 1000
    if len(stamps) > 1 and (steps > 0).all() and _plausible(float(1 / np.median(steps))):
        return (stamps - stamps[0]) / 1000
    if _plausible(header):
        return np.arange(len(stamps)) / header
    raise ValueError(
        f"{path} gives an impossible {header:g} frames a second, and its frames have no "
        "usable times: give its frame rate (frame_rate)."
    )


def _plausible(rate: float) -> bool:
    return FRAME_RATES[0] <= rate <= FRAME_RATES[1]
