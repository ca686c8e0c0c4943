"""Where occluders come from, and how each moves through a tracklet."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from torchreid_occ.data.supervision import Supervision
from torchreid_occ.occlusion.cutouts import Donor, cut_out
from torchreid_occ.occlusion.sprites import Colour, Placed, Sprite
from torchreid_occ.occwalk.arrays import Floats
from torchreid_occ.occwalk.occluders import WalkBounds, Window, crossing, draw_windows, presence

CACHED = 4096  # cut-outs in memory
DRAWN = 4  # people who are drawn to hide another, of whom the one in the most similar light does


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


class People:
    """People of the same data who walk in front of others, never of the same person or camera.

    Args:
        donors: Who can be cut out, 'train' for training tracklets and 'test' for the others.
        masks: Their masks.
    """

    def __init__(self, donors: Mapping[str, Sequence[Donor]], masks: Supervision) -> None:
        self._donors = donors
        self._sprite = lru_cache(CACHED)(lambda cutout: cut_out(cutout, masks))

    def draw(self, rng: np.random.Generator, hidden: Hidden) -> list[Occluder]:
        """Draws people, one after the other, who cross or come near and leave.

        Args:
            rng: Random number generator.
            hidden: Who is to be hidden.

        Raises:
            ValueError: If nobody else can be cut out.
        """
        pool = self._donors["train" if hidden.subset == "train" else "test"]
        others = [
            donor for donor in pool if donor.pid != hidden.pid and donor.camid != hidden.camid
        ]
        if not others:
            raise ValueError(
                f"Nobody can be cut out to hide person {hidden.pid} of the {hidden.subset} set in "
                f"camera {hidden.camid}: all {len(pool)} cut-outs are of this person or camera."
            )
        length = len(hidden.bounds.shift)
        return [
            self._walk_in_front(rng, _draw_donor(rng, others, hidden.light), hidden.bounds, window)
            for window in draw_windows(rng, 0, length, hidden.num_occluded)
        ]

    def _walk_in_front(
        self, rng: np.random.Generator, donor: Donor, bounds: WalkBounds, window: Window
    ) -> Occluder:
        tall = bounds.ground - bounds.top
        boxes = np.array([cutout.box for cutout in donor.walk])
        sizes = boxes[:, 2:] - boxes[:, :2]
        scale = tall * rng.uniform(0.92, 1.2) / sizes[:, 1].mean()
        columns = walk_columns(rng, bounds, window, scale * sizes[:, 0].mean())
        # A nearer person is lower in the picture; feet that the donor's frame cuts off stay out.
        ground = bounds.ground + tall * rng.uniform(0.02, 0.15)
        canvas_height, canvas_width = bounds.canvas
        ground = max(ground, canvas_height * rng.uniform(1.0, 1.04))
        first = int(rng.integers(len(boxes)))
        path: list[Placed | None] = []
        for frame, column in enumerate(columns.tolist()):
            number = (first + frame) % len(boxes)
            breadth, height = (scale * sizes[number]).tolist()
            left = column + bounds.shift[frame, 0] - breadth / 2
            bottom = ground + bounds.shift[frame, 1]
            if left >= canvas_width or left + breadth <= 0:
                path.append(None)
                continue
            sprite: Sprite = self._sprite(donor.walk[number])
            path.append(
                Placed(
                    sprite,
                    left / canvas_width,
                    (bottom - height) / canvas_height,
                    (left + breadth) / canvas_width,
                    bottom / canvas_height,
                )
            )
        return Occluder(donor.name, path)


def _draw_donor(rng: np.random.Generator, donors: Sequence[Donor], light: Colour) -> Donor:
    """Draws some people and takes the one whose frame is most similar in light."""
    drawn = [donors[number] for number in rng.integers(len(donors), size=DRAWN).tolist()]
    return min(
        drawn,
        key=lambda donor: sum(abs(a - b) for a, b in zip(donor.light, light, strict=True)),
    )


def walk_columns(
    rng: np.random.Generator, bounds: WalkBounds, window: Window, breadth: float
) -> Floats:
    """Returns columns of an occluder that walks past a person, or comes near and leaves again.

    Args:
        rng: Random number generator.
        bounds: Where the person is.
        window: When the person is to be hidden.
        breadth: Breadth of the occluder.

    Shape:
        returns ``(T,)``.
    """
    if rng.random() < 0.5:
        # At the window's edges they overlap already: bodies are slimmer than their boxes.
        return crossing(rng, bounds, window, 0.35 * breadth)[0]
    near = presence(rng, len(bounds.shift), window)
    own = bounds.right - bounds.left
    side = int(rng.choice([-1, 1]))
    away = (own + breadth) / 2
    nearest = away - rng.uniform(0.25, 0.9) * min(own, breadth)
    return (bounds.left + bounds.right) / 2 + side * (nearest + (1 - near) * (away - nearest) * 1.6)
