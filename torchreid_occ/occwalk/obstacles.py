"""Obstacles: one pool for training, another for the test."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from torchreid_occ.occwalk import sprites
from torchreid_occ.occwalk.identity import Colour
from torchreid_occ.occwalk.sprites import Sprite

Range = tuple[float, float]


@dataclass(frozen=True)
class Obstacle:
    """A kind of obstacle.

    Attributes:
        draw: Paints it: ``draw(rng, height, width, colour)``.
        reach: What it hides: "upright" hides columns, "low" hides from the ground up,
            "hanging" from the head down.
        cover: Smallest and largest share of the body's breadth (upright) or height it hides.
        colours: Its colours.
        aspect: Smallest and largest breadth by height, of low obstacles.
        vertical: Probability that it enters from below or above instead of from a side.
    """

    draw: Callable[[np.random.Generator, int, int, Colour], Sprite]
    reach: str
    cover: Range
    colours: tuple[Colour, ...]
    aspect: Range = (1.0, 1.0)
    vertical: float = 0.0


# The paper removed training tracklets with the obstacles of the test set (section 5.1), so the two
# pools share no shape and no colour. The people who pass by differ as well.
POOLS = {
    "train": (
        Obstacle(sprites.lamp_post, "upright", (0.2, 0.45), ((74, 96, 70), (88, 84, 80))),
        Obstacle(sprites.pillar, "upright", (0.35, 0.8), ((160, 164, 168), (132, 144, 150))),
        Obstacle(
            sprites.hatchback,
            "low",
            (0.4, 0.8),
            ((170, 96, 40), (228, 226, 224), (190, 186, 180)),
            aspect=(1.6, 2.8),
        ),
        Obstacle(
            sprites.bush,
            "low",
            (0.4, 0.8),
            ((40, 92, 48), (48, 80, 64)),
            (0.9, 1.8),
            vertical=0.4,
        ),
        Obstacle(
            sprites.drum,
            "low",
            (0.35, 0.5),
            ((60, 110, 50), (120, 120, 116)),
            (0.55, 0.8),
            vertical=0.2,
        ),
        Obstacle(
            sprites.awning, "hanging", (0.2, 0.55), ((50, 50, 200), (150, 110, 40)), vertical=1.0
        ),
    ),
    "test": (
        Obstacle(sprites.sign_post, "upright", (0.22, 0.5), ((40, 36, 205), (30, 30, 34))),
        Obstacle(sprites.trunk, "upright", (0.3, 0.8), ((52, 78, 104), (70, 84, 96))),
        Obstacle(
            sprites.van,
            "low",
            (0.45, 0.8),
            ((40, 40, 170), (40, 38, 38), (50, 180, 220)),
            aspect=(1.5, 2.4),
        ),
        Obstacle(
            sprites.hedge,
            "low",
            (0.45, 0.8),
            ((60, 140, 96), (70, 128, 76)),
            (1.2, 3.0),
            vertical=0.4,
        ),
        Obstacle(
            sprites.wheeled_bin,
            "low",
            (0.4, 0.6),
            ((150, 70, 30), (60, 66, 90)),
            (0.6, 0.9),
            vertical=0.2,
        ),
        Obstacle(
            sprites.branches, "hanging", (0.2, 0.55), ((60, 124, 116), (40, 104, 140)), vertical=1.0
        ),
    ),
}
