"""What a camera's person detector crops: one walker before a place, frame after frame."""

import cv2
import numpy as np

from torchreid_occ.occwalk.camera import HEADING_SPREAD, Camera
from torchreid_occ.occwalk.identity import Identity
from torchreid_occ.occwalk.occluders import Target
from torchreid_occ.occwalk.walker import Walker

# A walk turns, comes nearer or goes away by as much as in this many frames, however long it is: a
# camera sees nobody from all sides.
LONGEST_BEND = 24


class Stage:
    """The walker, the place behind and the wobbling box, before anything stands in the way.

    Args:
        rng: Draws what differs from tracklet to tracklet.
        identity: Who walks.
        camera: Which camera sees it.
        length: Number of frames.
        canvas: Height and width of the pictures.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        identity: Identity,
        camera: Camera,
        length: int,
        canvas: tuple[int, int],
    ):
        height, width = canvas
        self._camera, self._canvas = camera, canvas
        time = np.arange(length)
        bend = min(length, LONGEST_BEND)
        turn = (
            camera.headings[rng.integers(2)]
            + rng.normal(0, HEADING_SPREAD)
            + rng.uniform(-1, 1) * (bend / length) * time
        )
        heading = np.radians(turn)
        cadence = identity.gait.cadence * rng.uniform(0.92, 1.08)
        self.shift = height * camera.jitter * (_wander(rng, length, 2) + rng.normal(0, 1.2, 2))
        scale = rng.normal(0.87, 0.025) * np.exp(camera.jitter * _wander(rng, length, 1)[:, 0])
        self.unit = scale * height
        place = width * (0.5 + rng.normal(0, 0.02)), height * rng.normal(0.945, 0.01)
        ground = place + self.shift
        self.walker = Walker(
            identity, rng.random() + cadence * time, heading, camera.pitch, camera.light,
            ground, self.unit, canvas,
        )  # fmt: skip
        self.bodies = [self.walker.labels(frame) for frame in range(length)]
        # The place passes by as fast as the legs walk, and grows or shrinks on the way to or fro.
        speed = 1.8 * identity.gait.stride * cadence * self.unit.mean()
        rows, columns = camera.panorama.shape[:2]
        self._origin = np.stack(
            [
                rng.uniform(0, columns) + np.cumsum(speed * np.sin(heading)) - self.shift[:, 0],
                (rows - height) * rng.uniform(0.35, 0.65) - self.shift[:, 1],
            ],
            axis=1,
        )
        progress = np.linspace(-0.5, 0.5, length)
        self._zoom = np.exp(0.012 * bend * np.cos(heading) * progress)
        self._ground = ground

    def target(self) -> Target:
        """Where the body is, for those who want to stand in its way."""
        boxes = np.array([cv2.boundingRect(body) for body in self.bodies])
        lefts, tops = boxes[:, 0] - self.shift[:, 0], boxes[:, 1] - self.shift[:, 1]
        ground = (self._ground - self.shift)[:, 1].mean()
        right = (lefts + boxes[:, 2]).mean()
        return Target(
            lefts.mean(), right, tops.mean(), ground, self.shift, self._canvas,
            self._camera.pitch, self._camera.light,
        )  # fmt: skip

    def picture(self, frame: int) -> np.ndarray:
        """The walker before the place, with a shadow at the feet."""
        zoom, (left, top), (height, width) = self._zoom[frame], self._origin[frame], self._canvas
        centre = np.array([width / 2, height / 2])
        matrix = np.zeros((2, 3))
        matrix[0, 0] = matrix[1, 1] = 1 / zoom
        matrix[:, 2] = np.array([left, top]) + centre - centre / zoom
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        picture = cv2.warpAffine(
            self._camera.panorama, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_WRAP
        )
        self._cast_shadow(picture, frame)
        body = self.bodies[frame]
        cv2.copyTo(self.walker.colours(body), body, picture)
        return picture

    def _cast_shadow(self, picture, frame):
        unit, (column, row) = self.unit[frame], self._ground[frame]
        centre = int(column - 0.06 * self._camera.light * unit), int(row)
        shade = np.zeros(self._canvas, np.uint8)
        cv2.ellipse(shade, centre, (int(0.19 * unit), int(0.035 * unit)), 0, 0, 360, 60, -1)
        top = max(0, centre[1] - int(0.04 * unit))
        strip, dark = picture[top:], shade[top:]
        cv2.subtract(strip, cv2.merge([dark, dark, dark]), dst=strip)


def _wander(rng, length, channels):
    """Smooth random motion of about unit size."""
    steps = rng.standard_normal((length + 8, channels))
    kernel = np.hanning(9)[1:-1]
    kernel /= np.linalg.norm(kernel)
    return np.stack(
        [np.convolve(steps[:, channel], kernel, "same")[4:-4] for channel in range(channels)],
        axis=1,
    )
