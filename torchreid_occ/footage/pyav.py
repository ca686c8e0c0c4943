"""Reads videos by PyAV, whose FFmpeg has decoders that OpenCV's has not, such as AV1's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ.utils.dependencies import import_optional


def pyav() -> ModuleType | None:
    """Returns the library, or None if it is not installed."""
    try:
        return import_optional("av", extra="footage")[0]
    except ImportError:
        return None


def video_streams(path: Path) -> list[str]:
    """Lists the video streams of a file, such as ``640x360 h264``, without cover pictures.

    Args:
        path: The file.

    Returns:
        One text for each; an empty list if the library is not installed or cannot tell.
    """
    library = pyav()
    if library is None:
        return []
    try:
        with _container(library, path) as container:
            return [
                f"{stream.width}x{stream.height} {stream.codec.canonical_name}"
                for stream in container.streams.video
                if not _is_picture(library, stream)
            ]
    except (library.FFmpegError, ValueError):
        return []


def decoded(path: Path, first: int = 1) -> Iterator[tuple[float, npt.NDArray[np.uint8] | None]]:
    """Yields the time of each frame of the first video stream in seconds, and its pixels.

    Frames are upright, and of the first one's size, as OpenCV gives them. A file that is damaged
    ends early.

    Args:
        path: The file.
        first: Number of the first frame whose pixels are wanted, from 1; None stands for those of
            earlier ones.
    """
    library = pyav()
    if library is None:
        return
    size: tuple[int, int] | None = None
    try:
        with _container(library, path) as container:
            streams = [s for s in container.streams.video if not _is_picture(library, s)]
            for number, frame in enumerate(container.decode(streams[0]) if streams else (), 1):
                time = float("nan") if frame.time is None else float(frame.time)
                if number < first and size is not None:
                    yield time, None
                    continue
                pixels = _pixels(frame)
                size = size or (pixels.shape[1], pixels.shape[0])
                if (pixels.shape[1], pixels.shape[0]) != size:
                    pixels = np.asarray(cv2.resize(pixels, size), np.uint8)
                yield time, pixels
    except library.FFmpegError:
        return


def header_rate(path: Path) -> float:
    """Returns the frames per second that a file announces; 0 if it does not.

    Args:
        path: The file.
    """
    library = pyav()
    assert library is not None  # frames were decoded
    with _container(library, path) as container:
        stream = next(s for s in container.streams.video if not _is_picture(library, s))
        return float(stream.average_rate or 0)


@contextmanager
def _container(library: ModuleType, path: Path) -> Iterator[Any]:
    # With the protocol, no part of the name is taken for one.
    with library.open(f"file:{path}") as container:
        yield container


def _is_picture(library: ModuleType, stream: Any) -> bool:
    """Returns whether a stream is a still picture, such as the cover of an album."""
    return bool(stream.disposition & library.stream.Disposition.attached_pic)


def _pixels(frame: Any) -> npt.NDArray[np.uint8]:
    """Returns a frame in OpenCV's channel order, turned as its display matrix says."""
    pixels: npt.NDArray[np.uint8] = frame.to_ndarray(format="bgr24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
