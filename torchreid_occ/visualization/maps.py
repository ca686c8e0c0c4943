"""Frames and maps in rows over time, the parts of several pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import matplotlib
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

INCHES_PER_FRAME = 1.1
RESPONSES = matplotlib.colormaps["inferno"]

# Pixels of a frame in RGB, `(H, W, 3)`.
Frame: TypeAlias = npt.NDArray[np.uint8]


def draw_rows(rows: Mapping[str, Sequence[npt.NDArray[Any]]]) -> Figure:
    """Draws rows of pictures, a column for each frame.

    Args:
        rows: `{title: pictures}`, as many of each.
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


def enlarged(maps: Tensor, frames: Sequence[Frame]) -> Tensor:
    """Resizes maps to the size of the frames, on the CPU.

    Args:
        maps: Feature maps of the frames.
        frames: The frames.

    Shape:
        maps: ``(T, C, h, w)``; result: ``(T, C, H, W)``.
    """
    size = frames[0].shape[:2]
    return torch.nn.functional.interpolate(maps.float().cpu(), size)


def responses(
    maps: Tensor, frames: Sequence[Frame], highest: Tensor
) -> list[npt.NDArray[np.float64]]:
    """Colours maps by how strongly they respond, from black to bright.

    Args:
        maps: Feature maps of the frames.
        frames: The frames.
        highest: The response that is brightest, see `response`; the same for all maps that are
            compared.

    Shape:
        maps: ``(T, C, h, w)``; result: T of ``(H, W, 3)``.
    """
    values = enlarged(response(maps)[:, None] / highest, frames)[:, 0].numpy()
    return [RESPONSES(value)[..., :3] for value in values]


def response(maps: Tensor) -> Tensor:
    """Computes the length of each unit's feature.

    Args:
        maps: Feature maps.

    Shape:
        maps: ``(T, C, h, w)``; result: ``(T, h, w)``.
    """
    return maps.norm(dim=1)
