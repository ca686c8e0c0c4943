"""Draws contact sheets of tracklets with their supervision, one row each."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ.data.frame_strip import spread_frames
from torchreid_occ.data.images import read_image
from torchreid_occ.data.overlay import draw_supervision
from torchreid_occ.data.supervision import Supervision

HEIGHT, WIDTH = 256, 128  # of a frame in a sheet


def draw_sheet(
    tracklets: Sequence[Sequence[str]], supervision: Supervision, columns: int = 10
) -> npt.NDArray[np.uint8]:
    """Draws tracklets with their supervision.

    Args:
        tracklets: Paths of the frames of each tracklet.
        supervision: Key points and foreground of the frames.
        columns: Number of frames of each tracklet, evenly spread over a longer one.

    Shape:
        returns `(256 * tracklets, 128 * columns, 3)`, in OpenCV's channel order.
    """
    sheet = np.zeros((len(tracklets), HEIGHT, columns, WIDTH, 3), np.uint8)
    for row, paths in zip(sheet, tracklets, strict=True):
        for place, path in enumerate(spread_frames(paths, columns)):
            row[:, place] = _draw(path, supervision)
    return sheet.reshape(-1, columns * WIDTH, 3)


def _draw(path: str, supervision: Supervision) -> npt.NDArray[np.uint8]:
    size = (WIDTH, HEIGHT)
    frame = np.asarray(read_image(path), np.uint8)[..., ::-1]
    picture = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    foreground = supervision.foreground(path)
    mask: npt.NDArray[np.uint8] | None = None
    if foreground is not None:
        pixels = np.asarray(foreground, np.uint8)
        mask = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    draw_supervision(picture, supervision.keypoints(path), mask)
    return picture
