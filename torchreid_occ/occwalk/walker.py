"""A person walking through the frames of one tracklet."""

import cv2
import numpy as np

from torchreid_occ.occwalk.arrays import Floats, Pixels
from torchreid_occ.occwalk.body import BodyView, body_shapes
from torchreid_occ.occwalk.clothes import Pattern, palette
from torchreid_occ.occwalk.gait import Joint, project, walk
from torchreid_occ.occwalk.identity import Identity
from torchreid_occ.occwalk.shapes import Surface

FRACTION_BITS = 4  # polygons are painted to a sixteenth of a pixel


class Walker:
    """Paints the frames of a walk.

    Args:
        identity: The person.
        phase: Phase of the walk cycle.
        heading: Direction of walking in radians, 0 towards the camera.
        pitch: Angle by which the camera looks down.
        light: -1 for light from the left, 1 from the right.
        ground: Image point below the walker.
        unit: Pixels per body height.
        canvas: Height and width of the images.

    Shape:
        phase, heading, unit ``(T,)``; ground ``(T, 2)``.
    """

    def __init__(
        self,
        identity: Identity,
        phase: Floats,
        heading: Floats,
        pitch: float,
        light: float,
        ground: Floats,
        unit: Floats,
        canvas: tuple[int, int],
    ) -> None:
        points, depth = project(walk(identity.body, identity.gait, phase), heading, pitch)
        shapes = body_shapes(identity, BodyView(points, depth, heading), light)
        self.points = ground[:, None] + unit[:, None, None] * points
        self._canvas = canvas
        self._palette = palette(identity)
        self._labels = np.stack([shape.label for shape in shapes], axis=1).tolist()
        self._order = np.argsort(np.stack([shape.order for shape in shapes], axis=1), kind="stable")
        scale = 2**FRACTION_BITS
        self._polygons = [
            np.rint((ground[:, None] + unit[:, None, None] * shape.polygon) * scale).astype(
                np.int32
            )
            for shape in shapes
        ]
        scene = unit.mean(), np.cos(heading).mean(), canvas
        self._upper = Pattern(identity.upper, Surface.UPPER, *scene)
        self._lower = Pattern(identity.lower, Surface.LOWER, *scene)
        self._chest = 0.6 * self.points[:, Joint.NECK] + 0.4 * self.points[:, Joint.PELVIS]
        self._lap = 0.7 * self.points[:, Joint.PELVIS] + 0.3 * ground

    def labels(self, frame: int) -> Pixels:
        """Paints the body of a frame as labels of surfaces; 0 is the background."""
        canvas = np.zeros(self._canvas, np.uint8)
        labels = self._labels[frame]
        for index in self._order[frame].tolist():
            polygon = self._polygons[index][frame]
            cv2.fillConvexPoly(canvas, polygon, labels[index], cv2.LINE_8, FRACTION_BITS)
        self._upper.apply(canvas, self._chest[frame])
        self._lower.apply(canvas, self._lap[frame])
        return canvas

    def colours(self, labels: Pixels) -> Pixels:
        """Converts the labels of a body to its colours."""
        return cv2.applyColorMap(labels, self._palette)
