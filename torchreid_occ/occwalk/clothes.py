"""Colours and patterns: from the labels of a body to its pixels."""

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from torchreid_occ.occwalk.arrays import Flags, Floats, Pixels
from torchreid_occ.occwalk.identity import Garment, Identity
from torchreid_occ.occwalk.shapes import SHADES, Surface, label_of

SHADE_FACTORS = (0.62, 0.84, 1.04)


def palette(identity: Identity) -> Pixels:
    """Returns the colour of each label as a look-up table. Shape: ``(256, 1, 3)``."""
    colours = {
        Surface.SKIN: identity.body.skin,
        Surface.HAIR: identity.body.hair,
        Surface.UPPER: identity.upper.colour,
        Surface.UPPER_TRIM: identity.upper.trim,
        Surface.LOWER: identity.lower.colour,
        Surface.LOWER_TRIM: identity.lower.trim,
        Surface.SHOES: identity.shoes,
        Surface.BAG: identity.bag_colour,
        Surface.HAT: identity.hat_colour,
    }
    table = np.zeros((256, 1, 3), np.uint8)
    for surface, colour in colours.items():
        for shade, factor in enumerate(SHADE_FACTORS):
            table[label_of(surface, shade), 0] = np.clip(np.multiply(colour, factor), 0, 255)
    return table


class Pattern:
    """A garment's pattern, fixed to a point of the body; it changes labels to the trim's.

    Args:
        garment: The garment.
        surface: Its surface; the next one is its trim.
        unit: Pixels per body height.
        facing: Cosine of the heading; a logo is visible only from the front.
        canvas: Height and width of the images.
    """

    def __init__(
        self,
        garment: Garment,
        surface: Surface,
        unit: float,
        facing: float,
        canvas: tuple[int, int],
    ) -> None:
        self._range = label_of(surface, 0), label_of(surface, SHADES - 1)
        self._half = np.array(canvas)
        height, width = canvas
        rows, columns = np.indices((2 * height, 2 * width)) - self._half[:, None, None]
        mask = PATTERNS[garment.pattern](rows / unit, columns / unit, garment.pattern_scale, facing)
        self._offsets = None if mask is None else (mask * SHADES).astype(np.uint8)

    def apply(self, labels: Pixels, anchor: Floats) -> None:
        """Changes the labels of a body in place.

        Args:
            labels: Labels of a body.
            anchor: Column and row of the body point the pattern is fixed to.
        """
        if self._offsets is None:
            return
        column, row = np.clip(np.rint(anchor).astype(int), 0, self._half[::-1])
        top, left = self._half - (row, column)
        height, width = labels.shape
        offsets = self._offsets[top : top + height, left : left + width]
        cv2.add(labels, offsets, dst=labels, mask=cv2.inRange(labels, *self._range))


def _plain(rows: Floats, columns: Floats, scale: float, facing: float) -> None:
    return None


def _hoops(rows: Floats, columns: Floats, scale: float, facing: float) -> Flags:
    return (rows / (0.075 * scale)) % 1 < 0.5


def _stripes(rows: Floats, columns: Floats, scale: float, facing: float) -> Flags:
    return (columns / (0.06 * scale) + 0.25) % 1 < 0.5


def _checks(rows: Floats, columns: Floats, scale: float, facing: float) -> Flags:
    return (np.floor(rows / (0.05 * scale)) + np.floor(columns / (0.05 * scale))) % 2 < 1


def _dots(rows: Floats, columns: Floats, scale: float, facing: float) -> Flags:
    step = 0.075 * scale
    shifted = columns + step / 2 * (np.floor(rows / step) % 2)
    return np.hypot(rows % step - step / 2, shifted % step - step / 2) < 0.3 * step


def _block(rows: Floats, columns: Floats, scale: float, facing: float) -> Flags:
    return rows > 0.06 * scale - 0.02


def _logo(rows: Floats, columns: Floats, scale: float, facing: float) -> Flags:
    return (facing > 0.2) & (np.hypot(rows, columns / 1.1) < 0.055 * scale)


def _band(rows: Floats, columns: Floats, scale: float, facing: float) -> Flags:
    return np.abs(rows) < 0.04 * scale


# Where the trim is, from rows and columns in body heights, the scale and the facing.
Draw: TypeAlias = Callable[[Floats, Floats, float, float], Flags | None]
PATTERNS: dict[str, Draw] = {
    "plain": _plain,
    "hoops": _hoops,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "block": _block,
    "logo": _logo,
    "band": _band,
}
