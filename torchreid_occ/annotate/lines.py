"""From the 17 key points of COCO to the four lines that RFCnet is told."""

import numpy as np

# Pairs of key points from the top down, and how high they are in a standing body, as a share of
# its stature (Drillis and Contini, 1966).
EYES, SHOULDERS, HIPS, KNEES = (1, 2), (5, 6), (11, 12), (13, 14)
PAIRS = (EYES, SHOULDERS, HIPS, KNEES)
HEIGHTS = (0.936, 0.818, 0.530, 0.285)


def four_lines(points, visible, size):
    """The shoulder, hip and knee rows and the column between the legs.

    Rows are the mean of the visible ones of a pair; the column is the mean of visible knees, else
    hips, else shoulders. A row that is not visible is not known, unless the two rows above it say
    that, in a standing body, it is below the frame: then it is the lower border.

    Args:
        points: Key points in pixels from the upper left corner, x and y.
        visible: Which of them are visible.
        size: Height and width of the frame.

    Shape:
        points: `(17, 2)`; visible: `(17,)`; returns `(4,)`, fractions, NaN where not known.
    """
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
