"""OccWalk's rendered things and passers-by as occluders."""

import cv2
import numpy as np

from torchreid_occ.occlusion.sources import Hidden, Occluder
from torchreid_occ.occlusion.sprites import Placed, Sprite, soft_sprite
from torchreid_occ.occwalk.occluders import Layer, Slider, draw_occluders

CANVAS = 256  # height at which things are painted, at least, in pixels


class Things:
    """Poles, pillars, cars, bushes, bins, awnings and passers-by; other kinds for the test.

    Args:
        seed: Seed of the copy, which the passers-by depend on.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def draw(self, rng: np.random.Generator, hidden: Hidden) -> list[Occluder]:
        """Draws things and people that cross a tracklet one after the other, as in OccWalk.

        Args:
            rng: Random number generator.
            hidden: Who is to be hidden.
        """
        bounds, length = hidden.bounds, len(hidden.bounds.shift)
        scale = max(1, -(-CANVAS // bounds.canvas[0]))
        height, width = (scale * size for size in bounds.canvas)
        enlarged = bounds._replace(
            left=scale * bounds.left,
            right=scale * bounds.right,
            top=scale * bounds.top,
            ground=scale * bounds.ground,
            shift=scale * bounds.shift,
            canvas=(height, width),
        )
        # They hide little in the first and the last frame of their window.
        num_occluded = min(length, hidden.num_occluded + 1 + length // 12)
        found = draw_occluders(rng, self._seed, hidden.pool, enlarged, num_occluded)
        occluders = []
        for occluder in found:
            still = _sprite(occluder.layer(0)) if isinstance(occluder, Slider) else None
            layers = [occluder.layer(frame) for frame in range(length)]
            path = [_place(layer, still, height, width) for layer in layers]
            occluders.append(Occluder(f"{hidden.pool} {occluder.kind}", path))
        return occluders


def _sprite(layer: Layer) -> Sprite:
    picture = np.asarray(layer.picture, np.uint8)[..., ::-1]
    return soft_sprite(np.ascontiguousarray(picture), np.asarray(layer.mask > 0))


def _place(layer: Layer, still: Sprite | None, height: int, width: int) -> Placed | None:
    """Places a layer in a canvas; None if nothing of it is inside."""
    if still is None:
        left, top, breadth, tall = cv2.boundingRect(np.asarray(layer.mask, np.uint8))
        if not breadth:
            return None
        here = slice(top, top + tall), slice(left, left + breadth)
        layer = Layer(layer.picture[here], layer.mask[here], layer.left + left, layer.top + top)
    tall, breadth = layer.mask.shape
    if layer.left >= width or layer.left + breadth <= 0:
        return None
    if layer.top >= height or layer.top + tall <= 0:
        return None
    return Placed(
        still or _sprite(layer),
        layer.left / width,
        layer.top / height,
        (layer.left + breadth) / width,
        (layer.top + tall) / height,
    )
