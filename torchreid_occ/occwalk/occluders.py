"""Occluders: how obstacles and people cross the frames."""

from typing import NamedTuple, TypeAlias

import numpy as np

from torchreid_occ.occwalk.arrays import Floats, Pixels
from torchreid_occ.occwalk.identity import make_identity
from torchreid_occ.occwalk.obstacles import POOLS
from torchreid_occ.occwalk.sprites import Sprite
from torchreid_occ.occwalk.walker import Walker

PASSER_ODDS = 0.3
PASSERS = 1000  # different people who pass by, per pool
LONGEST_WINDOW = 48  # frames that one or two occluders hide; more frames take more of them
BRISK = 16  # frames up to which an occluder crosses at constant speed
LINGERING = 0.6  # slower ones slow down by this much midway, so that they hide much of the body


class Layer(NamedTuple):
    """An occluder in one frame: its pixels, their mask, and their upper left corner."""

    picture: Pixels
    mask: Pixels
    left: int
    top: int


class WalkBounds(NamedTuple):
    """Where the walk to be hidden is, in canvas pixels.

    Attributes:
        left: First column of the body, on average.
        right: Last column.
        top: Row of the top of its head.
        ground: Row of its feet.
        shift: Wobble of the box, which moves everything in it. Shape ``(T, 2)``.
        canvas: Height and width of the canvas.
        pitch: Angle by which the camera looks down.
        light: Side of the light.
    """

    left: float
    right: float
    top: float
    ground: float
    shift: Floats
    canvas: tuple[int, int]
    pitch: float
    light: float


class Slider:
    """An obstacle that slides over the frames.

    Args:
        kind: What it is.
        sprite: Its picture.
        corners: Place of its upper left corner. Shape ``(T, 2)``.
    """

    def __init__(self, kind: str, sprite: Sprite, corners: Floats) -> None:
        self.kind, self._sprite = kind, sprite
        self._corners: list[tuple[int, int]] = [
            (left, top) for left, top in np.rint(corners).astype(int).tolist()
        ]

    def layer(self, frame: int) -> Layer:
        """Returns its pixels in a frame."""
        left, top = self._corners[frame]
        return Layer(*self._sprite, left, top)


class Passer:
    """Another person who walks by in front.

    Args:
        walker: The other person's walk.
    """

    kind = "passer-by"

    def __init__(self, walker: Walker) -> None:
        self._walker = walker

    def layer(self, frame: int) -> Layer:
        """Returns its pixels in a frame."""
        labels = self._walker.labels(frame)
        return Layer(self._walker.colours(labels), (labels > 0).astype(np.uint8) * 255, 0, 0)


Occluder: TypeAlias = Slider | Passer
Window: TypeAlias = tuple[int, int]  # first frame, and the frame after the last


def draw_occluders(
    rng: np.random.Generator, seed: int, pool: str, bounds: WalkBounds, num_occluded: int
) -> list[Occluder]:
    """Draws occluders that cross a tracklet one after the other.

    Args:
        rng: Random number generator.
        seed: Seed of the rendering, for the people who pass by.
        pool: Name of the pool.
        bounds: Where the walk to be hidden is.
        num_occluded: Number of frames in which something should cover the body.
    """
    occluders: list[Occluder] = []
    for window in draw_windows(rng, 0, len(bounds.shift), num_occluded):
        if rng.random() < PASSER_ODDS:
            occluders.append(_draw_passer(rng, seed, pool, bounds, window))
        else:
            occluders.append(_draw_obstacle(rng, pool, bounds, window))
    return occluders


def draw_windows(
    rng: np.random.Generator, start: int, length: int, num_occluded: int
) -> list[Window]:
    """Draws windows of frames that have a given number of frames together.

    Args:
        rng: Random number generator.
        start: First frame that may be in a window.
        length: Number of frames that may.
        num_occluded: Number of frames in all windows.
    """
    spare = length - num_occluded
    if num_occluded > LONGEST_WINDOW:
        half = num_occluded // 2
        middle = half + int(rng.integers(spare + 1))
        return [
            *draw_windows(rng, start, middle, half),
            *draw_windows(rng, start + middle, length - middle, num_occluded - half),
        ]
    if num_occluded >= 6 and spare >= 2 and rng.random() < 0.5:
        first, gap = int(rng.integers(2, num_occluded - 1)), int(rng.integers(1, spare + 1))
        start += int(rng.integers(spare - gap + 1))
        return [(start, start + first), (start + first + gap, start + num_occluded + gap)]
    start += int(rng.integers(spare + 1))
    return [(start, start + num_occluded)]


def _draw_obstacle(
    rng: np.random.Generator, pool: str, bounds: WalkBounds, window: Window
) -> Slider:
    """Draws an obstacle that the walker passes, or that enters the frame from below or above."""
    obstacle = POOLS[pool][rng.integers(len(POOLS[pool]))]
    colour = obstacle.colours[rng.integers(len(obstacle.colours))]
    cover = rng.uniform(*obstacle.cover)
    breadth, height = bounds.right - bounds.left, bounds.ground - bounds.top
    if obstacle.reach == "upright":
        size, top = (1.25 * height, cover * breadth), bounds.ground - 1.1 * height
    elif obstacle.reach == "low":
        size = 1.15 * cover * height, cover * height * rng.uniform(*obstacle.aspect)
        top = bounds.ground - cover * height
    else:
        size, top = (cover * height + 0.3 * height, 1.5 * breadth), bounds.top - 0.3 * height
    sprite = obstacle.draw(rng, round(size[0]), max(6, round(size[1])), colour)
    if rng.random() < obstacle.vertical:
        lift = (-1 if obstacle.reach == "hanging" else 1) * cover * height
        column = (bounds.left + bounds.right) / 2 + breadth * rng.uniform(-0.25, 0.25)
        drifting = np.arange(len(bounds.shift)) - max(0, window[0] - BRISK)
        columns = column + rng.uniform(-0.02, 0.02) * breadth * drifting
        tops = top + lift * (1 - presence(rng, len(bounds.shift), window))
    else:
        columns = crossing(rng, bounds, window, size[1])[0]
        tops = np.full(len(bounds.shift), top)
    corners = np.stack([columns - size[1] / 2, tops], axis=1) + bounds.shift
    return Slider(obstacle.draw.__name__, sprite, corners)


def _draw_passer(
    rng: np.random.Generator, seed: int, pool: str, bounds: WalkBounds, window: Window
) -> Passer:
    """Draws a person nearer to the camera, thus larger and lower, who walks across."""
    height, length = bounds.ground - bounds.top, len(bounds.shift)
    unit = height * rng.uniform(1.0, 1.2)
    columns, sign = crossing(rng, bounds, window, 0.3 * unit)
    identity = make_identity(seed, f"{pool} passer", int(rng.integers(PASSERS)))
    heading = np.radians(sign * rng.uniform(45, 120))
    phase = rng.random() + identity.gait.cadence * np.arange(length)
    rows = np.full(length, bounds.ground + height * rng.uniform(0.03, 0.12))
    ground = np.stack([columns, rows], axis=1) + bounds.shift
    walker = Walker(
        identity, phase, np.full(length, heading), bounds.pitch, bounds.light,
        ground, np.full(length, unit), bounds.canvas,
    )  # fmt: skip
    return Passer(walker)


def crossing(
    rng: np.random.Generator, bounds: WalkBounds, window: Window, breadth: float
) -> tuple[Floats, int]:
    """Returns columns of an occluder that covers the body within the window, and its direction.

    At an end of the tracklet it may already cover the body, or stay.

    Args:
        rng: Random number generator.
        bounds: Where the walk to be hidden is.
        window: When it is to be hidden.
        breadth: Breadth of the occluder.

    Returns:
        The column of its centre in each frame, `(T,)`, and 1 (to the right) or -1.
    """
    start, stop = (edge - 0.5 for edge in window)
    length = stop - start
    if window[0] == 0:
        start -= length * rng.uniform(0, 0.8)
    if window[1] == len(bounds.shift):
        stop += length * rng.uniform(0, 0.8)
    sign = int(rng.choice([-1, 1]))
    way = np.array([bounds.left - breadth / 2, bounds.right + breadth / 2])[::sign]
    progress = (np.arange(len(bounds.shift)) - start) / (stop - start)
    if length > BRISK:
        progress += LINGERING / (2 * np.pi) * np.sin(2 * np.pi * np.clip(progress, 0, 1))
    return way[0] + (way[1] - way[0]) * progress, sign


def presence(rng: np.random.Generator, length: int, window: Window) -> Floats:
    """Rises from 0 to 1 within the first third of the window and falls in the last third.

    Args:
        rng: Random number generator.
        length: Number of frames.
        window: When it is above 0.

    Shape:
        returns ``(length,)``.
    """
    start, stop = window[0] - 0.7, window[1] - 0.3
    ramp = max(1.0, (stop - start) * rng.uniform(0.15, 0.35))
    frames = np.arange(length)
    rise = (frames - start) / ramp if window[0] > 0 or rng.random() < 0.4 else np.ones(length)
    fall = (stop - frames) / ramp if window[1] < length or rng.random() < 0.4 else np.ones(length)
    return np.clip(np.minimum(rise, fall), 0, 1)
