"""Cameras: panorama, direction of passers-by, and the effects of lens, light and codec."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from torchreid_occ.occwalk.arrays import Floats, Pixels
from torchreid_occ.occwalk.keys import keyed_rng
from torchreid_occ.occwalk.scene import draw_panorama

# By camera, cyclically, the two directions of walking in degrees: 0 towards it, 90 to its right.
HEADINGS = ((90.0, -90.0), (40.0, -140.0), (0.0, 180.0))
HEADING_SPREAD = 12.0  # standard deviation between tracklets


@dataclass(frozen=True)
class Camera:
    """Properties of a camera, the same in all its tracklets.

    Attributes:
        panorama: Its background, in canvas pixels.
        headings: The two directions of walking, in degrees.
        pitch: Angle by which it looks down, in radians.
        light: -1 for light from the left, 1 from the right.
        gains: Factors of blue, green and red: brightness and colour cast.
        gamma: Exponent of its tone curve.
        blur: Standard deviation of its blur, in frame pixels.
        noise: Standard deviation of its noise, in grey levels.
        quality: JPEG quality.
        jitter: Jitter of its person detector, in box heights.
    """

    panorama: Pixels
    headings: tuple[float, float]
    pitch: float
    light: float
    gains: Floats
    gamma: float
    blur: float
    noise: float
    quality: int
    jitter: float


@lru_cache(maxsize=16)
def make_camera(seed: int, camid: int, height: int, width: int) -> Camera:
    """Returns a camera by number.

    Args:
        seed: Seed of the rendering.
        camid: Number of the camera from 0.
        height: Height of the canvas on which frames are painted.
        width: Its width.
    """
    rng = keyed_rng(seed, "camera", camid)
    return Camera(
        panorama=draw_panorama(rng, height, width),
        headings=HEADINGS[camid % len(HEADINGS)],
        pitch=np.radians(rng.uniform(6, 16)),
        light=float(rng.choice([-1.0, 1.0])),
        gains=rng.uniform(0.75, 1.1) * rng.uniform(0.9, 1.1, 3),
        gamma=rng.uniform(0.8, 1.25),
        blur=rng.uniform(0.3, 0.75),
        noise=rng.uniform(2.0, 6.0),
        quality=int(rng.integers(45, 86)),
        jitter=rng.uniform(0.006, 0.014),
    )


class Exposure:
    """Effects of a camera on the pictures of one tracklet.

    Args:
        camera: The camera.
        rng: Draws what differs between tracklets.
        length: Number of frames.
        height: Height of a frame.
        width: Width of a frame.
    """

    def __init__(
        self, camera: Camera, rng: np.random.Generator, length: int, height: int, width: int
    ) -> None:
        gains = camera.gains * rng.uniform(0.85, 1.12)
        levels = (np.arange(256) / 255)[:, None] ** (camera.gamma * rng.uniform(0.93, 1.08))
        self._table = np.clip(levels * gains * 255, 0, 255).astype(np.uint8).reshape(256, 1, 3)
        blur = camera.blur * rng.uniform(0.8, 1.4)
        self._blur = blur * rng.uniform(1.0, 1.8), blur  # horizontal motion blur
        field = rng.normal(0, camera.noise, (2 * height, 2 * width, 3))
        self._noise = np.clip(np.rint(field), -100, 100).astype(np.int16)
        self._corners = rng.integers((height + 1, width + 1), size=(length, 2)).tolist()

    def take(self, picture: Pixels, frame: int) -> Pixels:
        """Records a picture; the noise depends on the frame.

        Args:
            picture: The picture in front of the camera.
            frame: Number of the frame.

        Shape:
            picture ``(H, W, 3)``; returns ``(H, W, 3)``.
        """
        height, width = picture.shape[:2]
        picture = cv2.LUT(picture, self._table)
        picture = cv2.GaussianBlur(picture, (0, 0), self._blur[0], sigmaY=self._blur[1])
        top, left = self._corners[frame]
        noise = self._noise[top : top + height, left : left + width]
        return cv2.add(picture, noise, dtype=cv2.CV_8U)
