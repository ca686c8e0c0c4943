"""Pictures of occluders with soft edges, and how they are put into a frame.

All arithmetic on pixels is of integers, so that a copy is the same to the byte on any processor.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]
Colour: TypeAlias = tuple[int, int, int]  # red, green, blue

SOLID = 128  # an occluder hides the pixels of at least this opacity
DARKEST, BRIGHTEST = 190, 340  # limits of the factors of an occluder's colours, in 256ths
BLURS = (0.0, 0.4, 0.6, 0.8, 1.0, 1.2)  # standard deviations of blurs that are tried, in pixels


class Sprite(NamedTuple):
    """A picture of an occluder.

    Attributes:
        image: Colours multiplied by their opacity, and the opacity: Pillow's mode 'RGBa'.
        light: Mean colour of the frame that it was cut from, or None if it was not in any.
    """

    image: Image.Image
    light: Colour | None = None


class Placed(NamedTuple):
    """A sprite in a frame: its borders as fractions of the frame's width and height.

    Attributes:
        sprite: What is painted.
        left: Its left border; below 0 it begins outside the frame.
        top: Its upper border.
        right: Its right border.
        bottom: Its lower border.
    """

    sprite: Sprite
    left: float
    top: float
    right: float
    bottom: float

    def pixels(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Returns left, top, width and height in a frame's pixels; at least one pixel each.

        Args:
            height: Height of the frame.
            width: Its width.
        """
        left, top = round(self.left * width), round(self.top * height)
        right, bottom = round(self.right * width), round(self.bottom * height)
        return left, top, max(1, right - left), max(1, bottom - top)


class Look(NamedTuple):
    """What is done to a sprite so that it looks as if it were in front of a tracklet's camera.

    Attributes:
        gains: Factors of red, green and blue, in 256ths.
        blur: Standard deviation of a blur, in pixels of the frame.
    """

    gains: Colour = (256, 256, 256)
    blur: float = 0.0


def soft_sprite(picture: Pixels, mask: Mask, light: Colour | None = None) -> Sprite:
    """Makes a sprite with a soft edge; the outermost pixels, which mix with the background, go.

    Args:
        picture: Colours, RGB.
        mask: What of it is the occluder.
        light: Mean colour of the frame that it was cut from.

    Shape:
        picture: ``(H, W, 3)``; mask: ``(H, W)``.
    """
    solid = np.pad(mask.astype(np.uint8) * 255, 1)
    trim = max(1, round(len(mask) / 160))
    inner = cv2.erode(solid, np.ones((3, 3), np.uint8), iterations=trim)
    soft = cv2.GaussianBlur(inner, (3, 3), 0)[1:-1, 1:-1]
    image = Image.fromarray(np.dstack([picture, np.asarray(soft, np.uint8)]))
    return Sprite(image.convert("RGBa"), light)


def mean_colour(pictures: Sequence[Pixels]) -> Colour:
    """Returns the mean colour of frames, rounded down.

    Args:
        pictures: The frames, ``(H, W, 3)`` each.
    """
    sums = np.sum([picture.reshape(-1, 3).sum(0, dtype=np.int64) for picture in pictures], axis=0)
    count = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
    red, green, blue = (int(value) // count for value in sums)
    return red, green, blue


def match_look(placed: Placed, frame: Pixels, body: Mask, light: Colour) -> Look:
    """Chooses light and blur for an occluder of a tracklet.

    Colours are multiplied by half of what the tracklet's mean colour is over that of the occluder's
    own frame, within limits: backgrounds differ, too. The blur is the one that makes the occluder
    about as sharp as the person.

    Args:
        placed: The occluder in a frame.
        frame: That frame.
        body: The person in it.
        light: Mean colour of the tracklet's frames.

    Shape:
        frame: ``(H, W, 3)``; body: ``(H, W)``.
    """
    own = placed.sprite.light or (110, 110, 110)
    gains = [
        min(BRIGHTEST, max(DARKEST, 128 + 128 * (theirs + 8) // (mine + 8)))
        for theirs, mine in zip(light, own, strict=True)
    ]
    _, _, *size = placed.pixels(*frame.shape[:2])
    wanted = _sharpness(frame, body)
    found = []
    for blur in BLURS:
        pixels = _render(placed.sprite, (size[0], size[1]), Look(blur=blur))
        found.append(_sharpness(pixels[..., :3], pixels[..., 3] == 255))
        if found[-1] <= wanted:
            break
    nearest = min(range(len(found)), key=lambda index: abs(found[index] - wanted))
    return Look((gains[0], gains[1], gains[2]), BLURS[nearest])


def paste(frame: Pixels, placed: Placed, look: Look = Look()) -> Mask:  # noqa: B008  immutable
    """Paints a sprite into a frame, which is changed.

    Args:
        frame: The frame.
        placed: The sprite and its place.
        look: Its light and blur.

    Returns:
        The pixels that it hides.

    Shape:
        frame: ``(H, W, 3)``; returns ``(H, W)``.
    """
    height, width = frame.shape[:2]
    hidden = np.zeros((height, width), bool)
    left, top, *size = placed.pixels(height, width)
    first_row, first_column = max(0, top), max(0, left)
    rows = slice(first_row, max(first_row, min(height, top + size[1])))
    columns = slice(first_column, max(first_column, min(width, left + size[0])))
    if rows.start == rows.stop or columns.start == columns.stop:
        return hidden
    pixels = _render(placed.sprite, (size[0], size[1]), look)
    part = pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    opacity = part[..., 3].astype(np.uint16)
    behind = frame[rows, columns] * (255 - opacity)[..., None]
    frame[rows, columns] = part[..., :3] + (behind + 127) // 255
    hidden[rows, columns] = opacity >= SOLID
    return hidden


def _render(sprite: Sprite, size: tuple[int, int], look: Look) -> Pixels:
    """Returns a sprite at a width and height, `(H, W, 4)`; no colour exceeds its opacity."""
    image = resized(sprite.image, size, Image.Resampling.BILINEAR)
    if look.blur:
        image = image.filter(ImageFilter.GaussianBlur(look.blur))
    pixels = np.array(image)
    if look.gains != (256, 256, 256):
        colours = pixels[..., :3].astype(np.uint32) * np.array(look.gains, np.uint32) // 256
        pixels[..., :3] = np.minimum(colours, pixels[..., 3:])
    return pixels


def resized(image: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    """Resizes a picture with the same result in every version of Pillow.

    Rows and columns are resized one after the other, and rounded between. Which come first has
    changed in Pillow 13, whose rule this is.

    Args:
        image: The picture; with opacity only if colours are multiplied by it.
        size: Width and height.
        resample: The filter.
    """
    (width, height), (new_width, new_height) = image.size, size
    rows_first = height - new_height > 2 * max(0, width - new_width)
    between = (width, new_height) if rows_first else (new_width, height)
    for step in (between, size):
        image = image.resize(step, resample)
    return image


def _sharpness(picture: Pixels, where: Mask) -> int:
    """Measures how strong the finest structures are, in thousandths of the contrast."""
    if not where.any():
        return 0
    grey = picture.astype(np.int32).sum(2)
    edges = np.abs(4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2]
                   - grey[1:-1, 2:])  # fmt: skip
    solid = where.astype(np.uint8)
    inner = cv2.erode(solid, np.ones((3, 3), np.uint8))[1:-1, 1:-1].astype(bool)
    if not inner.any():
        return 0
    values = grey[where]
    contrast = int(np.abs(values - int(values.sum()) // len(values)).sum()) // len(values)
    return 1000 * (int(edges[inner].sum()) // int(inner.sum())) // max(1, contrast)
