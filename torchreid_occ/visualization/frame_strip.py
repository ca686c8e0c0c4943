"""Frames of a tracklet as one picture inside a page, which then needs no other file."""

import base64
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from torchreid_occ.data.frames import read_frame

_GAP = 2  # white pixels between frames


class Picture(NamedTuple):
    """What an ``<img>`` shows: a data URI and its size in pixels."""

    uri: str
    width: int
    height: int


def frame_strip(paths, num_frames=4, size=(128, 64), quality=80):
    """Frames of a tracklet side by side in one JPEG.

    Args:
        paths: Paths of the tracklet's frames, in order.
        num_frames: How many to show, evenly spread; a shorter tracklet shows all it has.
        size: Height and width each is brought to, as a model's input is.
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


def spread_frames(paths, num_frames):
    """Evenly spread frames of a tracklet, its first and last among them if there are two or more.

    Args:
        paths: Paths of the tracklet's frames, in order.
        num_frames: How many; all that there are, if they are fewer.

    Raises:
        ValueError: If there are no frames, or fewer than one is asked for.
    """
    if not len(paths) or num_frames < 1:
        raise ValueError(
            f"Received {len(paths)} frames to show {num_frames} of, but both must be at least 1."
        )
    count = min(num_frames, len(paths))
    return [paths[place] for place in np.linspace(0, len(paths) - 1, count).round().astype(int)]


def embedded(image, form, **options):
    """A PIL image as an `<img>` shows it.

    Args:
        image: The image.
        form: Pillow's name of the file format, such as ``'JPEG'`` or ``'WEBP'``.
        **options: Pillow's for that format.
    """
    content = io.BytesIO()
    image.save(content, form, **options)
    encoded = base64.b64encode(content.getvalue()).decode("ascii")
    return Picture(f"data:image/{form.lower()};base64,{encoded}", *image.size)
