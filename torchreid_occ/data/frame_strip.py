"""Frames of a tracklet as one picture that is embedded in a page."""

import base64
import io
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from torchreid_occ.data.frames import Frame, read_frame

_GAP = 2  # white pixels between frames


T = TypeVar("T")


class Picture(NamedTuple):
    """Source of an ``<img>``: a data URI, and the size of the image in pixels."""

    uri: str
    width: int
    height: int


def frame_strip(
    paths: Sequence[Frame],
    num_frames: int = 4,
    size: tuple[int, int] = (128, 64),
    quality: int = 80,
) -> Picture:
    """Draws frames of a tracklet side by side in one JPEG.

    Args:
        paths: Paths of the tracklet's frames, or the frames, in order.
        num_frames: Number of frames to show, evenly spread; a shorter tracklet shows all of its.
        size: Height and width that each is resized to, such as those of a model's input.
        quality: Pillow's quality of the JPEG.

    Raises:
        ValueError: If there are no frames, or a file holds no image.
        FileNotFoundError: If there is no such file.
    """
    height, width = size
    shown = spread_frames(paths, num_frames)
    step = width + _GAP
    strip = Image.new("RGB", (step * len(shown) - _GAP, height), "white")
    for place, path in enumerate(shown):
        frame = read_frame(path).resize((width, height), Image.Resampling.BICUBIC)
        strip.paste(frame, (place * step, 0))
    return embedded(strip, "JPEG", quality=quality)


def spread_frames(frames: Sequence[T], num_frames: int) -> list[T]:
    """Chooses evenly spread frames of a tracklet, with the first and the last if two or more.

    Args:
        frames: The tracklet's frames, or other things, in order.
        num_frames: Number of frames to choose; a shorter tracklet gives all of its.

    Raises:
        ValueError: If there are no frames, or ``num_frames`` is less than 1.
    """
    if not len(frames) or num_frames < 1:
        raise ValueError(
            f"Received {len(frames)} frames to show {num_frames} of, but both must be at least 1."
        )
    count = min(num_frames, len(frames))
    return [frames[place] for place in np.linspace(0, len(frames) - 1, count).round().astype(int)]


def embedded(image: Image.Image, form: str, **options: Any) -> Picture:
    """Encodes an image as the source of an ``<img>``.

    Args:
        image: The image.
        form: Pillow's name of the file format, such as ``'JPEG'`` or ``'WEBP'``.
        **options: Pillow's for that format.
    """
    content = io.BytesIO()
    image.save(content, form, **options)
    encoded = base64.b64encode(content.getvalue()).decode("ascii")
    return Picture(f"data:image/{form.lower()};base64,{encoded}", *image.size)
