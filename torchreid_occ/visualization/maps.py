"""Frames and maps in rows over time, which several pictures are made of."""

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

INCHES_PER_FRAME = 1.1
RESPONSES = matplotlib.colormaps["inferno"]


def draw_rows(rows):
    """Draws rows of pictures, a column for each frame.

    Args:
        rows: `{title: pictures}`, as many of each.

    Returns:
        A Matplotlib figure.
    """
    columns = len(next(iter(rows.values())))
    size = (INCHES_PER_FRAME * columns + 0.3, 2.4 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (title, pictures) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(title, fontsize=8)
        for axis, picture in zip(row, pictures, strict=True):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    return figure


def enlarged(maps, frames):
    """Maps at the size of the frames, on the CPU: ``(T, C, h, w)`` to ``(T, C, H, W)``."""
    size = np.asarray(frames[0]).shape[:2]
    return torch.nn.functional.interpolate(maps.float().cpu(), size)


def responses(maps, frames, highest):
    """How strongly maps respond, from black to bright.

    Args:
        maps: Feature maps of the frames.
        frames: The frames as pictures.
        highest: The response that is brightest, see `response`; one for maps to be compared.

    Shape:
        maps: ``(T, C, h, w)``; result: T of ``(H, W, 3)``.
    """
    values = enlarged(response(maps)[:, None] / highest, frames)[:, 0].numpy()
    return [RESPONSES(value)[..., :3] for value in values]


def response(maps):
    """The length of each unit's feature: ``(T, C, h, w)`` to ``(T, h, w)``."""
    return maps.norm(dim=1)
