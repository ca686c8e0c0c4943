"""Lines and foreground of a frame, drawn over it."""

import cv2
import numpy as np
import numpy.typing as npt

# Blue, green, red.
ROW_COLOUR, COLUMN_COLOUR, MASK_COLOUR = (60, 220, 255), (255, 180, 60), (60, 220, 60)


def draw_supervision(
    picture: npt.NDArray[np.uint8],
    lines: npt.NDArray[np.floating],
    mask: npt.NDArray[np.uint8] | None = None,
) -> None:
    """Draws the supervision of a frame into its picture.

    Args:
        picture: The frame in BGR, which is changed.
        lines: Shoulder, hip and knee rows and knee column as fractions; NaN is not drawn. The
            column is drawn below the knees, or below the hips if the knees are not known.
        mask: The foreground, not 0 where the person is; None if it is not known.

    Shape:
        picture: ``(H, W, 3)``; lines: ``(4,)``; mask: ``(H, W)``.
    """
    height, width = picture.shape[:2]
    if mask is not None:
        tinted = cv2.addWeighted(picture, 0.6, np.full_like(picture, MASK_COLOUR), 0.4, 0)
        cv2.copyTo(tinted, mask, picture)
    rows = [int(line * height) if np.isfinite(line) else None for line in lines[:3]]
    for row in rows:
        if row is not None:
            cv2.line(picture, (0, row), (width, row), ROW_COLOUR, 1)
    if np.isfinite(lines[3]):
        top = next((row for row in rows[:0:-1] if row is not None), 0)
        column = int(lines[3] * width)
        cv2.line(picture, (column, top), (column, height), COLUMN_COLOUR, 1)
