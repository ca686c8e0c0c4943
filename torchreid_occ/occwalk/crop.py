"""A walk as the crops of a camera's person detector, before occluders are painted."""

from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from torchreid_occ.occwalk.arrays import Floats, Pixels
from torchreid_occ.occwalk.camera import HEADING_SPREAD, Camera
from torchreid_occ.occwalk.identity import Identity
from torchreid_occ.occwalk.occluders import WalkBounds
from torchreid_occ.occwalk.walker import Walker

# A walk turns and changes distance no more than within this many frames, so that a camera sees no
# person from all sides.
LONGEST_BEND = 24


class Path(NamedTuple):
    """Where a walker is in the crops of a tracklet.

    Attributes:
        heading: Direction of walking in radians, 0 towards the camera. Shape ``(T,)``.
        cadence: Its walk cycles a frame, by those of the identity.
        shift: Wobble of the box, in canvas pixels. Shape ``(T, 2)``.
        unit: Pixels per body height. Shape ``(T,)``.
        ground: Image point below the walker. Shape ``(T, 2)``.
    """

    heading: Floats
    cadence: float
    shift: Floats
    unit: Floats
    ground: Floats


def draw_path(
    rng: np.random.Generator, camera: Camera, length: int, canvas: tuple[int, int]
) -> Path:
    """Draws the path of a tracklet.

    Args:
        rng: Draws what differs between tracklets.
        camera: The camera.
        length: Number of frames.
        canvas: Height and width of the pictures.
    """
    height, width = canvas
    bend = min(length, LONGEST_BEND)
    turn = (
        camera.headings[rng.integers(2)]
        + rng.normal(0, HEADING_SPREAD)
        + rng.uniform(-1, 1) * (bend / length) * np.arange(length)
    )
    heading = np.radians(turn)
    cadence = rng.uniform(0.92, 1.08)
    shift = height * camera.jitter * (_wander(rng, length, 2) + rng.normal(0, 1.2, 2))
    scale = rng.normal(0.87, 0.025) * np.exp(camera.jitter * _wander(rng, length, 1)[:, 0])
    place = width * (0.5 + rng.normal(0, 0.02)), height * rng.normal(0.945, 0.01)
    return Path(heading, cadence, shift, scale * height, place + shift)


class CroppedWalk:
    """A walker in front of a panorama, cropped by a jittering box, without occluders.

    Args:
        rng: Draws what differs between tracklets.
        identity: The person.
        camera: The camera.
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
    ) -> None:
        height, _ = canvas
        self._camera, self._canvas = camera, canvas
        path = draw_path(rng, camera, length, canvas)
        heading, self.shift, self.unit, self._ground = (
            path.heading, path.shift, path.unit, path.ground,
        )  # fmt: skip
        cadence = identity.gait.cadence * path.cadence
        self.walker = Walker(
            identity, rng.random() + cadence * np.arange(length), heading, camera.pitch,
            camera.light, self._ground, self.unit, canvas,
        )  # fmt: skip
        self._length = length
        # The panorama moves at walking speed, and is zoomed as the walker approaches or leaves.
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
        self._zoom = np.exp(0.012 * min(length, LONGEST_BEND) * np.cos(heading) * progress)

    @cached_property
    def bodies(self) -> list[Pixels]:
        """The labels of the body in each frame; 0 is the background."""
        return [self.walker.labels(frame) for frame in range(self._length)]

    def bounds(self) -> WalkBounds:
        """Returns where the body is, by which occluders are placed."""
        boxes = np.array([cv2.boundingRect(body) for body in self.bodies])
        lefts, tops = boxes[:, 0] - self.shift[:, 0], boxes[:, 1] - self.shift[:, 1]
        ground = (self._ground - self.shift)[:, 1].mean()
        right = (lefts + boxes[:, 2]).mean()
        return WalkBounds(
            lefts.mean(), right, tops.mean(), ground, self.shift, self._canvas,
            self._camera.pitch, self._camera.light,
        )  # fmt: skip

    def picture(self, frame: int) -> Pixels:
        """Paints the walker in front of the panorama, with a shadow at the feet."""
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

    def _cast_shadow(self, picture: Pixels, frame: int) -> None:
        unit, (column, row) = self.unit[frame], self._ground[frame]
        centre = int(column - 0.06 * self._camera.light * unit), int(row)
        shade = np.zeros(self._canvas, np.uint8)
        cv2.ellipse(shade, centre, (int(0.19 * unit), int(0.035 * unit)), 0, 0, 360, 60, -1)
        top = max(0, centre[1] - int(0.04 * unit))
        if top >= len(picture):  # the feet are so far below the frame that the shadow is, too
            return
        strip, dark = picture[top:], shade[top:]
        cv2.subtract(strip, cv2.merge([dark, dark, dark]), dst=strip)


def _wander(rng: np.random.Generator, length: int, channels: int) -> Floats:
    """Draws smooth random motion of about unit size. Shape: ``(length, channels)``."""
    steps = rng.standard_normal((length + 8, channels))
    kernel = np.hanning(9)[1:-1]
    kernel /= np.linalg.norm(kernel)
    return np.stack(
        [np.convolve(steps[:, channel], kernel, "same")[4:-4] for channel in range(channels)],
        axis=1,
    )
