"""Reads videos by PyAV, whose FFmpeg has decoders that OpenCV's has not, such as AV1's."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ.utils.dependencies import import_optional

HD = 720  # lines from which cameras encode colours by BT.709
UNTAGGED = 2  # colour matrix of a stream that does not say it


class VideoStream(NamedTuple):
    """A video stream of a file.

    Attributes:
        title: Its size and codec, such as ``640x360 h264``.
        hd_without_matrix: Whether it is HD and does not say by which matrix colours were encoded;
            FFmpeg's libraries, OpenCV's too, then take BT.601, and most cameras have BT.709.
        timed: Whether its container stores times. A coded stream without one (``.h264``,
            ``.mjpeg``) has none; FFmpeg's libraries, OpenCV's too, then give 25 frames a second.
        stated_rate: Frames per second by the headers of the coded stream; 0 if they do not say it.
    """

    title: str
    hd_without_matrix: bool
    timed: bool
    stated_rate: float


def pyav() -> ModuleType | None:
    """Returns the library, or None if it is not installed."""
    try:
        return import_optional("av", extra="footage")[0]
    except ImportError:
        return None


def video_streams(path: Path) -> list[VideoStream]:
    """Lists the video streams of a file, without cover pictures.

    Args:
        path: The file.

    Returns:
        An empty list if the library is not installed or cannot tell.
    """
    library = pyav()
    if library is None:
        return []
    try:
        with _container(library, path) as container:
            return [
                VideoStream(
                    f"{stream.width}x{stream.height} {stream.codec.canonical_name}",
                    min(stream.width, stream.height) >= HD
                    and stream.codec_context.colorspace == UNTAGGED,
                    not container.format.flags & library.format.Flags.no_timestamps.value,
                    float(stream.codec_context.framerate or 0),
                )
                for stream in _streams(library, container)
            ]
    except (library.FFmpegError, ValueError):
        return []


def decoded(
    path: Path, wanted: Callable[[int], bool]
) -> Iterator[tuple[float, npt.NDArray[np.uint8] | None]]:
    """Yields the time of each frame of the first video stream in seconds, and its pixels.

    Frames are upright, and of the first one's size, as OpenCV gives them. A file that is damaged
    ends early.

    Args:
        path: The file.
        wanted: Tells by its number, from 1, whether a frame's pixels are wanted; None stands for
            others, except for the first.
    """
    library = pyav()
    if library is None:
        return
    size: tuple[int, int] | None = None
    try:
        with _container(library, path) as container:
            streams = _streams(library, container)
            for number, frame in enumerate(container.decode(streams[0]) if streams else (), 1):
                time = float("nan") if frame.time is None else float(frame.time)
                if size is not None and not wanted(number):
                    yield time, None
                    continue
                pixels = _pixels(frame, size)
                size = pixels.shape[1], pixels.shape[0]
                yield time, pixels
    except library.FFmpegError:
        return


def sought(
    path: Path, numbers: Sequence[int], count: int, size: tuple[int, int]
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yields frames of the first video stream, each decoded from the keyframe before it.

    Ends before the first frame that is not found for certain: by a time of its own in the
    container, which has as many times as the video has frames.

    Args:
        path: The file.
        numbers: Numbers of the frames, from 1, in order.
        count: Number of frames that were decoded from the whole video.
        size: Width and height of the frames.
    """
    library = pyav()
    if library is None:
        return
    try:
        with _container(library, path) as container:
            streams = _streams(library, container)
            stamps, keys = _index(container, streams[0]) if streams else ([], [])
            if len(stamps) != count:
                return
            streams[0].thread_type = "AUTO"
            position = stamps[0] - 1  # of the last decoded frame
            frames: Iterator[Any] = iter(())
            for number in numbers:
                stamp = stamps[number - 1]
                key, start = keys[max(0, bisect_right(keys, (stamp, stamp)) - 1)]
                if key > position or position < stamps[0]:
                    container.seek(start, stream=streams[0])
                    frames = container.decode(streams[0])
                found = next((f for f in frames if f.pts is None or f.pts >= stamp), None)
                if found is None or found.pts != stamp:
                    return
                position = stamp
                yield number, _pixels(found, size)
    except library.FFmpegError:
        return


def mirrored(path: Path) -> bool:
    """Returns whether a file is to be shown mirrored, which OpenCV and PyAV take for a turn.

    Decodes the first frame, to which the file's display matrix belongs.

    Args:
        path: The file.

    Returns:
        False if the library is not installed or cannot tell.
    """
    library = pyav()
    if library is None:
        return False
    try:
        with _container(library, path) as container:
            streams = _streams(library, container)
            frame = next(container.decode(streams[0]), None) if streams else None
            matrix = None if frame is None else frame.side_data.get("DISPLAYMATRIX")
    except (library.FFmpegError, ValueError):
        return False
    if matrix is None:
        return False
    turn = np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2]
    return bool(np.linalg.det(turn.astype(np.float64)) < 0)


def header_rate(path: Path) -> float:
    """Returns the frames per second that a file announces; 0 if it does not.

    Args:
        path: The file.
    """
    library = pyav()
    assert library is not None  # frames were decoded
    with _container(library, path) as container:
        return float(_streams(library, container)[0].average_rate or 0)


def excess_frames(path: Path) -> int:
    """Returns how many frames the header's number may be too high by, though the file is whole.

    A clip that was cut out of another without being encoded again stores frames before its first,
    which are not shown. A container without a number (Matroska, transport streams) has a length,
    which sound may exceed: a second is allowed for. Reads the file without decoding it.

    Args:
        path: The file.

    Returns:
        0 if the library is not installed or cannot tell.
    """
    library = pyav()
    if library is None:
        return 0
    try:
        with _container(library, path) as container:
            stream = _streams(library, container)[0]
            if not stream.frames:
                return round(stream.average_rate or stream.guessed_rate or 0)
            return sum(packet.size > 0 and packet.is_discard for packet in container.demux(stream))
    except (library.FFmpegError, IndexError):
        return 0


@contextmanager
def _container(library: ModuleType, path: Path) -> Iterator[Any]:
    # With the protocol, no part of the name is taken for one.
    with library.open(f"file:{path}") as container:
        yield container


def _streams(library: ModuleType, container: Any) -> list[Any]:
    """Returns the video streams that are no still picture, such as the cover of an album."""
    picture = library.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & picture]


def _index(container: Any, stream: Any) -> tuple[list[int], list[tuple[int, int]]]:
    """Returns the times of frames in order, and those of keyframes with where to seek them.

    Both are empty if a time is missing or comes twice.
    """
    stamps: list[int] = []
    keys: list[tuple[int, int]] = []
    for packet in container.demux(stream):
        if not packet.size or packet.is_discard:  # the mark of the end, or not to be shown
            continue
        if packet.pts is None:
            return [], []
        stamps.append(packet.pts)
        if packet.is_keyframe:
            start = packet.pts if packet.dts is None else min(packet.pts, packet.dts)
            keys.append((packet.pts, start))
    unique = len({*stamps}) == len(stamps)
    return (sorted(stamps), sorted(keys)) if unique and keys else ([], [])


def _pixels(frame: Any, size: tuple[int, int] | None) -> npt.NDArray[np.uint8]:
    """Returns a frame in OpenCV's channel order, turned as its display matrix says, in a size."""
    turned = np.rot90(frame.to_ndarray(format="bgr24"), round(frame.rotation / 90))
    pixels: npt.NDArray[np.uint8] = np.ascontiguousarray(turned)
    if size is not None and (pixels.shape[1], pixels.shape[0]) != size:
        pixels = np.asarray(cv2.resize(pixels, size), np.uint8)
    return pixels
