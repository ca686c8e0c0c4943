"""Paints occluders into the frames of a tracklet, and measures where its person is."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ.occlusion.sources import Occluder
from torchreid_occ.occlusion.sprites import (
    SOLID,
    Colour,
    Look,
    Mask,
    Pixels,
    Placed,
    match_look,
    paste,
)
from torchreid_occ.occwalk.occluders import WalkBounds

FAR = 0.06  # the crop follows its person this closely, as a share of the frame's size
GRID = 48, 24  # rows and columns of the grid on which hidden shares are estimated


class PaintedFrame(NamedTuple):
    """A frame with something in front.

    Attributes:
        number: Its place in the tracklet.
        picture: The frame. Shape ``(H, W, 3)``.
        covered: Pixels that are covered. Shape ``(H, W)``.
        occluders: Names of what is in front.
    """

    number: int
    picture: Pixels
    covered: Mask
    occluders: tuple[str, ...]


def bounds_of(
    frames: Sequence[Pixels], bodies: Sequence[Mask], rng: np.random.Generator
) -> WalkBounds:
    """Measures where a person is, in pixels of the first frame.

    Args:
        frames: Frames of any sizes.
        bodies: The person in each, ``(H, W)``.
        rng: Draws what cannot be measured: how the camera looks down, and the side of the light.
    """
    height, width = frames[0].shape[:2]
    boxes, centres = [], []
    for body in bodies:
        scale = np.array([width / body.shape[1], height / body.shape[0]])
        left, top, breadth, tall = cv2.boundingRect(body.astype(np.uint8))
        boxes.append(np.array([left, top, left + breadth, top + tall]) * np.tile(scale, 2))
        rows, columns = np.nonzero(body)
        centres.append(np.array([columns.mean(), rows.mean()]) * scale)
    shift = np.array(centres) - np.median(centres, axis=0)
    limit = FAR * height
    left, top, right, ground = np.median(boxes, axis=0).tolist()
    return WalkBounds(
        left, right, top, ground, np.clip(shift, -limit, limit), (height, width),
        pitch=np.radians(rng.uniform(6, 16)), light=float(rng.choice([-1.0, 1.0])),
    )  # fmt: skip


def paint(
    frames: Sequence[Pixels], bodies: Sequence[Mask], occluders: Sequence[Occluder], light: Colour
) -> Iterator[PaintedFrame]:
    """Paints occluders, matched in light and blur; yields the frames that they are seen in.

    Args:
        frames: The frames, ``(H, W, 3)`` each.
        bodies: The person in each, ``(H, W)``.
        occluders: What is in front.
        light: Mean colour of the frames.
    """
    looks = [_look(occluder, frames, bodies, light) for occluder in occluders]
    for number, frame in enumerate(frames):
        picture, covered = frame.copy(), np.zeros(frame.shape[:2], bool)
        names = []
        for occluder, look in zip(occluders, looks, strict=True):
            placed = occluder.path[number]
            covers = None if placed is None else paste(picture, placed, look)
            if covers is not None and covers.any():
                names.append(occluder.name)
                covered |= covers
        if names:
            yield PaintedFrame(number, picture, covered, tuple(names))


def _look(
    occluder: Occluder, frames: Sequence[Pixels], bodies: Sequence[Mask], light: Colour
) -> Look:
    """Matches an occluder to the frame in the middle of its path."""
    seen = [number for number, placed in enumerate(occluder.path) if placed is not None]
    placed = occluder.path[seen[len(seen) // 2]] if seen else None
    if placed is None:
        return Look()
    middle = seen[len(seen) // 2]
    return match_look(placed, frames[middle], bodies[middle], light)


def on_grid(bodies: Sequence[Mask]) -> npt.NDArray[np.bool_]:
    """Returns masks on a coarse grid, ``(T, *GRID)``.

    Args:
        bodies: The masks, ``(H, W)`` each.
    """
    coarse = []
    for body in bodies:
        places = [
            (2 * np.arange(count) + 1) * size // (2 * count)
            for count, size in zip(GRID, body.shape, strict=True)
        ]
        coarse.append(body[np.ix_(*places)])
    return np.stack(coarse)


def estimate_shares(
    grid: npt.NDArray[np.bool_], occluders: Sequence[Occluder]
) -> npt.NDArray[np.float64]:
    """Estimates how much of a person is hidden in each frame, ``(T,)``.

    Args:
        grid: The person on the grid, from `on_grid`.
        occluders: What is in front.
    """
    seen = grid.copy()
    for occluder in occluders:
        for frame, placed in enumerate(occluder.path):
            if placed is not None:
                seen[frame] &= ~_covered_on_grid(placed)
    return 1 - seen.sum((1, 2)) / np.maximum(1, grid.sum((1, 2)))


def _covered_on_grid(placed: Placed) -> npt.NDArray[np.bool_]:
    opacity = np.asarray(placed.sprite.image)[..., 3]
    inside, places = [], []
    extents = (placed.top, placed.bottom), (placed.left, placed.right)
    for count, size, (first, last) in zip(GRID, opacity.shape, extents, strict=True):
        within = ((np.arange(count) + 0.5) / count - first) / (last - first)
        ok = (within >= 0) & (within < 1)
        inside.append(ok)
        places.append((within[ok] * size).astype(int))
    mask = np.zeros(GRID, bool)
    mask[np.ix_(*inside)] = opacity[np.ix_(*places)] >= SOLID
    return mask
