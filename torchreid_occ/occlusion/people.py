"""People of the same data as occluders."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from torchreid_occ.occlusion.cutouts import CutOut, Donor
from torchreid_occ.occlusion.sources import Hidden, Moving, Occluder, move_past
from torchreid_occ.occlusion.sprites import Colour, Sprite
from torchreid_occ.occwalk.occluders import WalkBounds, draw_windows

DRAWN = 4  # people who are drawn to hide another, of whom the one in the most similar light does


class People:
    """People who walk in front of others, never of the same person or in front of their own camera.

    Args:
        donors: Who can be cut out, 'train' for training tracklets and 'test' for the others.
        sprite: Cuts them out.
    """

    def __init__(
        self, donors: Mapping[str, Sequence[Donor]], sprite: Callable[[CutOut], Sprite]
    ) -> None:
        self._donors, self._sprite = donors, sprite

    def draw(self, rng: np.random.Generator, hidden: Hidden) -> list[Occluder]:
        """Draws people, one after the other.

        Args:
            rng: Random number generator.
            hidden: Who is to be hidden.

        Raises:
            ValueError: If nobody else can be cut out.
        """
        pool = self._donors[hidden.pool]
        others = [
            donor for donor in pool if donor.pid != hidden.pid and donor.camid != hidden.camid
        ]
        if not others:
            raise ValueError(
                f"Nobody can be cut out to hide person {hidden.pid} of the {hidden.subset} set in "
                f"camera {hidden.camid}: all {len(pool)} cut-outs are of this person or camera."
            )
        windows = draw_windows(rng, 0, len(hidden.bounds.shift), hidden.num_occluded)
        return [
            move_past(
                rng, self._walker(rng, others, hidden.light, hidden.bounds), hidden.bounds, window
            )
            for window in windows
        ]

    def _walker(
        self, rng: np.random.Generator, others: Sequence[Donor], light: Colour, bounds: WalkBounds
    ) -> Moving:
        donor = _draw_donor(rng, others, light)
        boxes = np.array([cutout.box for cutout in donor.walk])
        height = bounds.ground - bounds.top
        tall = height * rng.uniform(0.92, 1.2)
        # A nearer person is lower in the picture.
        bottom = bounds.ground + height * rng.uniform(0.02, 0.15)
        below = bounds.canvas[0] * rng.uniform(1.0, 1.04) - bottom
        if below > 0 and any(cutout.footless for cutout in donor.walk):
            # Feet that their own frame cuts off stay outside: the person is nearer still.
            tall, bottom = tall + below, bottom + below
        sizes = (boxes[:, 2:] - boxes[:, :2]).astype(float)
        return Moving(
            donor.name, sizes, lambda number: self._sprite(donor.walk[number]), tall, bottom
        )


def _draw_donor(rng: np.random.Generator, donors: Sequence[Donor], light: Colour) -> Donor:
    """Draws some people and takes the one whose frame is most similar in light."""
    drawn = [donors[number] for number in rng.integers(len(donors), size=DRAWN).tolist()]
    return min(
        drawn,
        key=lambda donor: sum(abs(a - b) for a, b in zip(donor.light, light, strict=True)),
    )
