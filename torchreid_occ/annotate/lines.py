"""Derives RFCnet's four key point lines from the 17 key points of COCO."""

from typing import Any

import numpy as np
import numpy.typing as npt

# Pairs of key points from the top down, and their heights in a standing body as shares of its
# stature (Drillis and Contini, 1966).
EYES, SHOULDERS, HIPS, KNEES = (1, 2), (5, 6), (11, 12), (13, 14)
PAIRS = (EYES, SHOULDERS, HIPS, KNEES)
HEIGHTS = (0.936, 0.818, 0.530, 0.285)


def four_lines(
    points: npt.NDArray[np.floating[Any]], visible: npt.NDArray[np.bool_], size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Returns the shoulder, hip and knee rows and the column between the legs.

    A row is the mean of the visible points of a pair; the column is the mean of the visible knees,
    else hips, else shoulders. A row without visible points is unknown, unless the two rows above
    imply, for a standing body, that it lies below the frame: then it is the lower border.

    Args:
        points: Key points in pixels from the upper left corner, x and y.
        visible: Whether each key point is visible.
        size: Height and width of the frame.

    Shape:
        points: `(17, 2)`; visible: `(17,)`; returns `(4,)`, fractions of the frame, NaN if unknown.
    """
    # Paper silent [D4]: how the released lines were made is not published.
    height, width = size
    shown = [np.asarray(points)[[i for i in pair if visible[i]]] for pair in PAIRS]
    means = [found.mean(0) if len(found) else np.full(2, np.nan) for found in shown]
    rows = [mean[1] / height for mean in means]
    for n in (2, 3):  # hips and knees
        if np.isnan(rows[n]):
            stature = (rows[n - 1] - rows[n - 2]) / (HEIGHTS[n - 2] - HEIGHTS[n - 1])
            below = rows[n - 1] + stature * (HEIGHTS[n - 1] - HEIGHTS[n]) >= 1
            rows[n] = 1.0 if below else np.nan
    columns = (mean[0] / width for mean in means[:0:-1])
    column = next((x for x in columns if not np.isnan(x)), np.nan)
    return np.array([*np.minimum(rows[1:], 1.0), column], np.float32)
