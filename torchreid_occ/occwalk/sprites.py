"""Pictures of obstacles with their masks."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from torchreid_occ.occwalk.arrays import Pixels
from torchreid_occ.occwalk.identity import Colour

Point: TypeAlias = tuple[float, float]  # column and row as fractions of the sprite


class Sprite(NamedTuple):
    """A picture and the mask (0 or 255) of its solid part."""

    picture: Pixels
    mask: Pixels


def _blank(height: int, width: int) -> Sprite:
    return Sprite(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8))


def _fill(sprite: Sprite, polygon: Sequence[Point], colour: Colour) -> None:
    """Fills a polygon given in fractions of the sprite."""
    height, width = sprite.mask.shape
    points = np.rint(np.multiply(polygon, (width, height))).astype(np.int32)
    cv2.fillPoly(sprite.picture, [points], colour)
    cv2.fillPoly(sprite.mask, [points], 255)


def _disc(sprite: Sprite, centre: Point, radius: float, colour: Colour) -> None:
    height, width = sprite.mask.shape
    point = int(centre[0] * width), int(centre[1] * height)
    cv2.circle(sprite.picture, point, int(radius), colour, -1)
    cv2.circle(sprite.mask, point, int(radius), 255, -1)


def _tint(colour: Colour, factor: float) -> Colour:
    blue, green, red = (int(min(255, value * factor)) for value in colour)
    return blue, green, red


def _rounded(sprite: Sprite) -> Sprite:
    """Shades an upright solid from side to side."""
    across = np.linspace(-1, 1, sprite.mask.shape[1])
    shade = (1.08 - 0.55 * (across + 0.3) ** 2)[None, :, None]
    return Sprite(np.clip(sprite.picture * shade, 0, 255).astype(np.uint8), sprite.mask)


def lamp_post(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a round post with a collar."""
    sprite = _blank(height, width)
    _fill(sprite, [(0.12, 0), (0.88, 0), (0.88, 1), (0.12, 1)], colour)
    _fill(sprite, [(0, 0.72), (1, 0.72), (1, 1), (0, 1)], _tint(colour, 0.8))
    return _rounded(sprite)


def sign_post(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a post in two alternating colours under a plate."""
    sprite = _blank(height, width)
    for index in range(10):
        paint = colour if index % 2 else (225, 225, 225)
        _fill(
            sprite,
            [
                (0.2, index / 10),
                (0.8, index / 10),
                (0.8, index / 10 + 0.1),
                (0.2, index / 10 + 0.1),
            ],
            paint,
        )
    _fill(sprite, [(0, 0.08), (1, 0.08), (1, 0.26), (0, 0.26)], _tint(colour, 0.9))
    _fill(sprite, [(0.12, 0.1), (0.88, 0.1), (0.88, 0.24), (0.12, 0.24)], (230, 230, 230))
    return sprite


def pillar(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a concrete pillar with joints."""
    sprite = _blank(height, width)
    _fill(sprite, [(0, 0), (1, 0), (1, 1), (0, 1)], colour)
    for row in (0.22, 0.5, 0.78):
        _fill(sprite, [(0, row), (1, row), (1, row + 0.012), (0, row + 0.012)], _tint(colour, 0.7))
    return _rounded(sprite)


def trunk(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a tree trunk: bark, and roots that spread."""
    sprite = _blank(height, width)
    _fill(sprite, [(0.14, 0), (0.86, 0), (0.88, 0.8), (1, 1), (0, 1), (0.1, 0.8)], colour)
    bark = cv2.resize(
        rng.uniform(0.6, 1.25, (height // 24 + 2, max(width // 4, 2))), (width, height)
    )
    picture = np.clip(sprite.picture * bark[..., None], 0, 255).astype(np.uint8)
    return _rounded(Sprite(picture, sprite.mask))


def hatchback(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a small car seen from its side."""
    sprite = _blank(height, width)
    _fill(
        sprite,
        [(0.02, 0.4), (0.2, 0.34), (0.32, 0.02), (0.8, 0.0), (0.96, 0.36), (1, 0.86), (0, 0.86)],
        colour,
    )
    for window in ([(0.26, 0.34), (0.36, 0.08), (0.54, 0.07), (0.54, 0.34)],
                   [(0.58, 0.34), (0.58, 0.07), (0.77, 0.07), (0.88, 0.34)]):  # fmt: skip
        _fill(sprite, window, (78, 66, 58))
    _car_details(sprite, colour, height)
    return sprite


def van(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a delivery van seen from its side, mostly without windows."""
    sprite = _blank(height, width)
    _fill(sprite, [(0, 0), (0.72, 0), (0.86, 0.3), (1, 0.45), (1, 0.88), (0, 0.88)], colour)
    _fill(sprite, [(0.68, 0.08), (0.73, 0.08), (0.84, 0.36), (0.68, 0.36)], (60, 56, 52))
    _fill(sprite, [(0, 0.5), (1, 0.5), (1, 0.56), (0, 0.56)], _tint(colour, 0.6))
    _fill(sprite, [(0.12, 0.14), (0.5, 0.14), (0.5, 0.34), (0.12, 0.34)], _tint(colour, 1.5))
    _car_details(sprite, colour, height)
    return sprite


def _car_details(sprite: Sprite, colour: Colour, height: int) -> None:
    _fill(sprite, [(0, 0.74), (1, 0.74), (1, 0.86), (0, 0.86)], _tint(colour, 0.55))
    for wheel in (0.2, 0.8):
        _disc(sprite, (wheel, 0.85), height * 0.15, (30, 30, 30))
        _disc(sprite, (wheel, 0.85), height * 0.07, (150, 150, 150))


def bush(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a round bush of dark leaves."""
    sprite = _blank(height, width)
    radius = min(height, width) * 0.28
    for _ in range(40):
        angle, reach = rng.uniform(0, np.pi), np.sqrt(rng.uniform(0, 1))
        centre = 0.5 + 0.36 * reach * np.cos(angle), 0.98 - 0.68 * reach * np.sin(angle)
        _disc(sprite, centre, radius * rng.uniform(0.6, 1.0), _tint(colour, rng.uniform(0.6, 1.1)))
    return _leaves(rng, sprite, colour, 260, 0.03)


def hedge(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a clipped hedge with blossoms."""
    sprite = _blank(height, width)
    top = [(x, rng.uniform(0, 0.05)) for x in np.linspace(0, 1, 12)]
    _fill(sprite, [*top, (1, 1), (0, 1)], colour)
    sprite = _leaves(rng, sprite, colour, 420, 0.022)
    return _leaves(rng, sprite, (215, 190, 240), 60, 0.014, low=0.9)


def _leaves(
    rng: np.random.Generator,
    sprite: Sprite,
    colour: Colour,
    number: int,
    size: float,
    low: float = 0.55,
) -> Sprite:
    """Paints leaves into the picture; the mask stays."""
    height, width = sprite.mask.shape
    picture = sprite.picture.copy()
    for _ in range(number):
        centre = int(rng.integers(width)), int(rng.integers(height))
        tint = _tint(colour, rng.uniform(low, 1.35))
        cv2.circle(picture, centre, max(1, int(size * height * rng.uniform(0.5, 1.2))), tint, -1)
    return Sprite(picture, sprite.mask)


def drum(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a round litter bin with a dark mouth."""
    sprite = _blank(height, width)
    _fill(sprite, [(0.06, 0.06), (0.94, 0.06), (0.86, 1), (0.14, 1)], colour)
    _fill(sprite, [(0, 0), (1, 0), (1, 0.08), (0, 0.08)], _tint(colour, 0.5))
    for column in (0.25, 0.42, 0.59, 0.76):
        _fill(
            sprite,
            [(column, 0.2), (column + 0.03, 0.2), (column + 0.03, 0.95), (column, 0.95)],
            _tint(colour, 0.7),
        )
    return _rounded(sprite)


def wheeled_bin(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a wheeled bin with a lid and a sticker."""
    sprite = _blank(height, width)
    _fill(sprite, [(0.02, 0.12), (0.98, 0.12), (0.88, 0.94), (0.12, 0.94)], colour)
    _fill(sprite, [(0, 0.03), (0.9, 0), (1, 0.13), (0, 0.13)], _tint(colour, 1.35))
    _fill(sprite, [(0.34, 0.35), (0.66, 0.35), (0.66, 0.52), (0.34, 0.52)], (220, 225, 225))
    _disc(sprite, (0.2, 0.94), height * 0.06, (25, 25, 25))
    _disc(sprite, (0.8, 0.94), height * 0.06, (25, 25, 25))
    return sprite


def awning(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a striped awning with a scalloped edge."""
    sprite = _blank(height, width)
    stripes = 8
    for index in range(stripes):
        left, right = index / stripes, (index + 1) / stripes
        paint = colour if index % 2 else (225, 228, 230)
        _fill(sprite, [(left, 0), (right, 0), (right, 0.92), (left, 0.92)], paint)
        _disc(sprite, ((left + right) / 2, 0.92), width / stripes / 2, paint)
    return sprite


def branches(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Sprite:
    """Paints a leafy branch that hangs into the frame."""
    sprite = _blank(height, width)
    for _ in range(70):
        centre = rng.uniform(0, 1), rng.uniform(0, 0.88) * rng.uniform(0.6, 1)
        _disc(sprite, centre, width * rng.uniform(0.05, 0.11), _tint(colour, rng.uniform(0.6, 1.3)))
    _fill(sprite, [(0, 0), (1, 0), (1, 0.5), (0, 0.4)], _tint(colour, 0.8))
    return _leaves(rng, sprite, colour, 200, 0.03)
