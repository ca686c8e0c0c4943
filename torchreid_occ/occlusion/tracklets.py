"""Occludes a tracklet: draws occluders until they fulfil the protocol, and paints them."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.occlusion.draws import keyed_rng
from torchreid_occ.occlusion.protocol import LEAST_HIDDEN, MOST_HIDDEN, Protocol
from torchreid_occ.occlusion.sources import Hidden, Occluder, OccluderSource
from torchreid_occ.occlusion.sprites import (
    SOLID,
    Colour,
    Look,
    Mask,
    Pixels,
    Placed,
    match_look,
    mean_colour,
    paste,
)
from torchreid_occ.occwalk.occluders import WalkBounds

MAX_ATTEMPTS = 300
FAR = 0.06  # the crop follows its person this closely, as a share of the frame's size
GRID = 48, 24  # rows and columns of the grid that attempts are judged on


class OccludedFrame(NamedTuple):
    """A frame in which something hides a part of the person.

    Attributes:
        number: Its place in the tracklet.
        picture: The frame. Shape ``(H, W, 3)``.
        visible: What is seen of the person. Shape ``(H, W)``.
        share: How much of the person is hidden, 0 to 1.
        occluders: Names of what is in front.
    """

    number: int
    picture: Pixels
    visible: Mask
    share: float
    occluders: tuple[str, ...]


class Place(NamedTuple):
    """A tracklet's place in its dataset.

    Attributes:
        subset: 'train', 'query' or 'gallery'.
        number: Its number in the subset.
        pid: Identity.
        camid: Camera.
    """

    subset: str
    number: int
    pid: int
    camid: int

    def __str__(self) -> str:
        return f"{self.subset}/{self.number:05d}"


def occlude_tracklet(
    place: Place,
    frames: Sequence[Pixels],
    bodies: Sequence[Mask],
    num_occluded: int,
    source: OccluderSource,
    protocol: Protocol,
    seed: int,
) -> list[OccludedFrame]:
    """Occludes a tracklet, which depends only on the arguments and the version of the copies.

    Args:
        place: Its place in the dataset.
        frames: Its frames, of any sizes.
        bodies: Masks of the whole person in each.
        num_occluded: Number of frames to occlude.
        source: Where occluders come from.
        protocol: How much is to be hidden.
        seed: Seed of the copy.

    Raises:
        ValueError: If no occluders fulfil the protocol.
    """
    bounds = _bounds(frames, bodies, keyed_rng(seed, SUBSETS.index(place.subset), place.number))
    light = mean_colour(frames)
    hidden = Hidden(place.pid, place.camid, place.subset, bounds, num_occluded, light)
    grid = np.stack([_on_grid(body) for body in bodies])
    for attempt in range(MAX_ATTEMPTS):
        rng = keyed_rng(seed, SUBSETS.index(place.subset), place.number, 1 + attempt)
        occluders = source.draw(rng, hidden)
        wanted = _Wanted(num_occluded, len(frames), protocol, attempt)
        if not wanted.is_in(_coarse_shares(grid, occluders), tolerance=0.03):
            continue
        painted = _paint(frames, bodies, occluders, light)
        shares = np.zeros(len(frames))
        for frame in painted:
            shares[frame.number] = frame.share
        if wanted.is_in(shares):
            return painted
    raise ValueError(
        f"No occluders were found in {MAX_ATTEMPTS} attempts that hide {100 * LEAST_HIDDEN:.0f} to "
        f"{100 * MOST_HIDDEN:.0f} % of the person of tracklet {place} in {num_occluded} of its "
        f"{len(frames)} frames: look at its masks, and leave it out or correct them."
    )


def _bounds(
    frames: Sequence[Pixels], bodies: Sequence[Mask], rng: np.random.Generator
) -> WalkBounds:
    """Measures where the person is, in pixels of the first frame."""
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


def _on_grid(body: Mask) -> npt.NDArray[np.bool_]:
    rows, columns = ((2 * np.arange(n) + 1) * s // (2 * n) for n, s in zip(GRID, body.shape,
                                                                          strict=True))  # fmt: skip
    return np.asarray(body[np.ix_(rows, columns)])


def _coarse_shares(
    grid: npt.NDArray[np.bool_], occluders: Sequence[Occluder]
) -> npt.NDArray[np.float64]:
    """Estimates on a grid how much of the person is hidden in each frame."""
    seen = grid.copy()
    for occluder in occluders:
        for frame, placed in enumerate(occluder.path):
            if placed is not None:
                seen[frame] &= ~_coarse_mask(placed)
    return 1 - seen.sum((1, 2)) / np.maximum(1, grid.sum((1, 2)))


def _coarse_mask(placed: Placed) -> npt.NDArray[np.bool_]:
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


class _Wanted(NamedTuple):
    """How much an attempt is to hide; the longer none succeeds, the more numbers of frames do."""

    num_occluded: int
    length: int
    protocol: Protocol
    attempt: int

    def is_in(self, shares: npt.NDArray[np.float64], tolerance: float = 0.0) -> bool:
        """Returns whether as much is hidden in as many frames as wanted."""
        clearly = int((shares >= LEAST_HIDDEN - tolerance).sum())
        touched = int((shares > 0).sum())
        slack = max(1, self.length // 10) + self.attempt // 50
        most = max(self.num_occluded, int(self.protocol.most_frames * self.length))
        return (
            clearly >= self.protocol.fewest(self.length)
            and abs(clearly - self.num_occluded) <= slack
            and touched <= most + slack
            and shares.max() <= MOST_HIDDEN + tolerance
        )


def _paint(
    frames: Sequence[Pixels],
    bodies: Sequence[Mask],
    occluders: Sequence[Occluder],
    light: Colour,
) -> list[OccludedFrame]:
    looks = [_look(occluder, frames, bodies, light) for occluder in occluders]
    painted = []
    for number, (frame, body) in enumerate(zip(frames, bodies, strict=True)):
        picture, visible = frame.copy(), body.copy()
        names = []
        for occluder, look in zip(occluders, looks, strict=True):
            placed = occluder.path[number]
            if placed is None:
                continue
            hides = paste(picture, placed, look)
            if hides.any():
                names.append(occluder.name)
                visible &= ~hides
        if names:
            share = 1 - int(visible.sum()) / int(body.sum())
            painted.append(OccludedFrame(number, picture, visible, share, tuple(names)))
    return painted


def _look(
    occluder: Occluder,
    frames: Sequence[Pixels],
    bodies: Sequence[Mask],
    light: Colour,
) -> Look:
    """Matches an occluder to the frame in the middle of its path."""
    seen = [number for number, placed in enumerate(occluder.path) if placed is not None]
    placed = occluder.path[seen[len(seen) // 2]] if seen else None
    if placed is None:
        return Look()
    middle = seen[len(seen) // 2]
    return match_look(placed, frames[middle], bodies[middle], light)
