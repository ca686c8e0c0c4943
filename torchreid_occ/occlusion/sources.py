"""What draws occluders, and how they move through a tracklet."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from torchreid_occ.occlusion.sprites import Colour, Placed, Sprite
from torchreid_occ.occwalk.arrays import Floats
from torchreid_occ.occwalk.occluders import WalkBounds, Window, crossing, presence


class Hidden(NamedTuple):
    """Who is to be hidden.

    Attributes:
        pid: Identity.
        camid: Camera.
        subset: 'train', 'query' or 'gallery'.
        bounds: Where the person is, in pixels of the tracklet's first frame.
        num_occluded: Number of frames in which something should cover the person.
        light: Mean colour of the tracklet's frames.
    """

    pid: int
    camid: int
    subset: str
    bounds: WalkBounds
    num_occluded: int
    light: Colour

    @property
    def pool(self) -> str:
        """Which occluders may hide the person, 'train' or 'test'."""
        return "train" if self.subset == "train" else "test"


class Occluder(NamedTuple):
    """Something that moves through the frames of a tracklet.

    Attributes:
        name: What it is.
        path: Its picture and place in each frame, None where it is not there.
    """

    name: str
    path: Sequence[Placed | None]


class OccluderSource(Protocol):
    """Draws occluders."""

    def draw(self, rng: np.random.Generator, hidden: Hidden) -> list[Occluder]:
        """Draws the occluders of a tracklet.

        Args:
            rng: Random number generator.
            hidden: Who is to be hidden.
        """


class Moving(NamedTuple):
    """An occluder before it is placed.

    Attributes:
        name: What it is.
        sizes: Breadth and height of its pictures, in any unit, `(N, 2)`.
        picture: Returns a picture by its number; they follow one another, the first after the last.
        tall: Its height, on average, in pixels of the tracklet's first frame.
        bottom: Row of its lower border.
    """

    name: str
    sizes: Floats
    picture: Callable[[int], Sprite]
    tall: float
    bottom: float


def move_past(
    rng: np.random.Generator, moving: Moving, bounds: WalkBounds, window: Window
) -> Occluder:
    """Draws the way of an occluder that stands or walks nearer to the camera than a person.

    Args:
        rng: Random number generator.
        moving: The occluder.
        bounds: Where the person is.
        window: When the person is to be hidden.
    """
    sizes = moving.sizes * moving.tall / moving.sizes[:, 1].mean()
    columns = _columns(rng, bounds, window, sizes[:, 0].mean())
    first = int(rng.integers(len(sizes)))
    height, width = bounds.canvas
    path: list[Placed | None] = []
    for frame, column in enumerate(columns.tolist()):
        number = (first + frame) % len(sizes)
        breadth, tall = sizes[number].tolist()
        left = column + bounds.shift[frame, 0] - breadth / 2
        bottom = moving.bottom + bounds.shift[frame, 1]
        if moving.bottom >= height:  # what is cut off at the bottom stays outside
            bottom = max(bottom, height)
        inside = left < width and left + breadth > 0 and bottom - tall < height
        corners = left / width, (bottom - tall) / height, (left + breadth) / width, bottom / height
        path.append(Placed(moving.picture(number), *corners) if inside else None)
    return Occluder(moving.name, path)


def _columns(
    rng: np.random.Generator, bounds: WalkBounds, window: Window, breadth: float
) -> Floats:
    """Returns columns of an occluder that goes past a person, or comes near and leaves, `(T,)`."""
    if rng.random() < 0.5:
        # At the window's edges they overlap already: bodies are slimmer than their boxes.
        return crossing(rng, bounds, window, 0.35 * breadth)[0]
    near = presence(rng, len(bounds.shift), window)
    own = bounds.right - bounds.left
    side = int(rng.choice([-1, 1]))
    away = (own + breadth) / 2
    nearest = away - rng.uniform(0.25, 0.9) * min(own, breadth)
    return (bounds.left + bounds.right) / 2 + side * (nearest + (1 - near) * (away - nearest) * 1.6)
