"""Contact sheets of targets: tracklets as rows, frames in time, what was found drawn over them."""

import cv2
import numpy as np

from torchreid_occ.data.images import read_image
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.data.overlay import draw_supervision

HEIGHT, WIDTH = 256, 128  # of a frame in a sheet


def draw_sheet(tracklets, targets: Supervision, columns=10):
    """Draws tracklets with their targets.

    Args:
        tracklets: Paths of the frames of each.
        targets: What was found in them.
        columns: Number of frames of each, evenly chosen from a long one.

    Shape:
        returns `(256 * tracklets, 128 * columns, 3)`, blue first.
    """
    sheet = np.zeros((len(tracklets), HEIGHT, columns, WIDTH, 3), np.uint8)
    for row, paths in zip(sheet, tracklets, strict=True):
        step = max(1, len(paths) // columns)
        for place, path in enumerate(paths[::step][:columns]):
            row[:, place] = _draw(path, targets)
    return sheet.reshape(-1, columns * WIDTH, 3)


def _draw(path, targets):
    size = (WIDTH, HEIGHT)
    frame = np.asarray(read_image(path))[..., ::-1]
    picture = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
    mask = targets.foreground(path)
    if mask is not None:
        mask = cv2.resize(np.asarray(mask), size, interpolation=cv2.INTER_NEAREST)
    draw_supervision(picture, targets.keypoints(path), mask)
    return picture
