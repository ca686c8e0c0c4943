"""Backgrounds: the panorama behind the walkers of a camera."""

from collections.abc import Sequence

import cv2
import numpy as np

from torchreid_occ.occwalk.arrays import Pixels
from torchreid_occ.occwalk.identity import Colour

GROUNDS = ((150, 150, 148), (120, 128, 132), (96, 100, 104), (110, 140, 160), (100, 130, 96))
WALLS = ((150, 165, 180), (120, 140, 190), (190, 190, 185), (110, 118, 128), (170, 150, 130))
# Size of a panorama in boxes; it is cyclic: its end continues at its beginning.
BREADTH, TALLNESS = 10, 1.5


def draw_panorama(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draws a panorama: paved or marked ground before a wall with windows and doors, or trees.

    Args:
        rng: Random number generator.
        height: Height of the box that moves over it.
        width: Width of that box.

    Shape:
        returns ``(TALLNESS * height, BREADTH * width, 3)``.
    """
    rows, columns = int(TALLNESS * height), BREADTH * width
    picture = np.empty((rows, columns, 3), np.uint8)
    horizon = int(rows * rng.uniform(0.3, 0.55))
    ground, wall = (palette[rng.integers(len(palette))] for palette in (GROUNDS, WALLS))
    picture[:] = wall
    picture[horizon:] = ground
    _draw_ground(rng, picture, horizon, ground, height)
    if rng.random() < 0.65:
        _draw_facade(rng, picture, horizon, wall, height)
    else:
        _draw_park(rng, picture, horizon, height)
    return _weather(rng, picture, horizon)


def _draw_ground(
    rng: np.random.Generator, picture: Pixels, horizon: int, colour: Colour, height: int
) -> None:
    rows, columns = picture.shape[:2]
    line = [int(value) for value in np.multiply(colour, rng.uniform(0.72, 0.88))]
    kind = rng.choice(["slabs", "crossing", "lanes"])
    if kind == "slabs":
        step = height // int(rng.integers(6, 12))
        for column in range(-columns, 2 * columns, 2 * step):
            lean = int((column - columns / 2) * 0.35)
            cv2.line(picture, (column, horizon), (column + lean, rows), line, 2)
        for index in range(1, 12):
            row = horizon + int((rows - horizon) * (index / 11) ** 1.6)
            cv2.line(picture, (0, row), (columns, row), line, 2)
    elif kind == "crossing":
        step = height // 4
        top = horizon + (rows - horizon) // 3
        for column in range(0, columns, step):
            corners = [(column, top), (column + step // 2, top)]
            corners += [(column + step // 4, rows), (column - step // 2, rows)]
            cv2.fillConvexPoly(picture, np.array(corners, np.int32), (205, 205, 205))
    else:
        lanes: Sequence[tuple[float, Sequence[int]]] = (
            (0.25, line),
            (0.5, (200, 205, 210)),
            (0.8, (90, 190, 210)),
        )
        for place, paint in lanes:
            row = horizon + int((rows - horizon) * place)
            cv2.line(picture, (0, row), (columns, row), paint, int(rng.integers(3, 9)))
    cv2.rectangle(picture, (0, horizon - 4), (columns, horizon + 6), line, -1)


def _draw_facade(
    rng: np.random.Generator, picture: Pixels, horizon: int, colour: Colour, height: int
) -> None:
    columns = picture.shape[1]
    glass, frame = (np.multiply(colour, factor).tolist() for factor in (0.45, 0.75))
    step, top = int(height * rng.uniform(0.35, 0.6)), int(horizon * rng.uniform(0.1, 0.3))
    sill = int(horizon * rng.uniform(0.6, 0.8))
    for column in range(0, columns, step):
        choice = rng.random()
        left, right = column + step // 6, column + step - step // 6
        if choice < 0.6:
            cv2.rectangle(picture, (left, top), (right, sill), frame, -1)
            cv2.rectangle(picture, (left + 5, top + 5), (right - 5, sill - 5), glass, -1)
            cv2.line(picture, (left + 5, sill - 8), (right - 12, top + 8), frame, 2)
        elif choice < 0.75:
            door = rng.integers(40, 200, 3).tolist()
            cv2.rectangle(picture, (left, top), (right, horizon), door, -1)
            cv2.rectangle(picture, (left, top), (right, horizon), frame, 3)
        elif choice < 0.9:
            poster = rng.integers(40, 230, 3).tolist()
            cv2.rectangle(picture, (left, top + 6), (right - step // 6, sill), poster, -1)
            cv2.circle(picture, ((left + right) // 2, (top + sill) // 2), step // 7, frame, -1)


def _draw_park(rng: np.random.Generator, picture: Pixels, horizon: int, height: int) -> None:
    columns = picture.shape[1]
    picture[: horizon // 2] = (215, 205, 190)
    for _ in range(90):
        leaf = (int(rng.integers(40, 80)), int(rng.integers(90, 150)), int(rng.integers(50, 100)))
        centre = int(rng.integers(columns)), int(rng.integers(horizon // 3, horizon))
        cv2.circle(picture, centre, int(height * rng.uniform(0.04, 0.14)), leaf, -1)
    for _ in range(12):
        left, half = int(rng.integers(columns)), int(rng.integers(6, 16))
        bark = (50, 70, 95)
        cv2.rectangle(picture, (left - half, 0), (left + half, horizon + half), bark, -1)


def _weather(rng: np.random.Generator, picture: Pixels, horizon: int) -> Pixels:
    """Adds noise at several scales, darker towards the foot of the wall."""
    rows, columns = picture.shape[:2]
    texture = np.zeros((rows, columns), np.float32)
    for cell, strength in ((64, 14.0), (16, 9.0), (4, 7.0)):
        grid = rng.standard_normal((rows // cell + 1, columns // cell + 1)).astype(np.float32)
        texture += strength * cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_LINEAR)
    texture -= 22 * np.exp(-np.abs(np.arange(rows) - horizon) / 20)[:, None].astype(np.float32)
    return np.clip(picture + texture[..., None], 0, 255).astype(np.uint8)
