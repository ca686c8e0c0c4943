"""Figures of scores and of completed frames: the paper's Figs. 5 and 6 for any tracklet."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from torchreid_occ.completion.thirds import THIRDS, Values
from torchreid_occ.visualization.maps import Frame, draw_rows, response, responses

INCHES = 1.1  # width of a frame


def draw_scores(
    frames: Sequence[npt.NDArray[np.uint8]], scores: Values, threshold: float
) -> Figure:
    """Draws the scores of a tracklet's thirds over time below its frames.

    Reference: VRSTC, Fig. 5.

    Args:
        frames: The frames.
        scores: Scores of their thirds.
        threshold: Score below which a third is occluded.

    Shape:
        frames: T of ``(H, W, 3)``; scores: ``(T, 3)``.
    """
    figure = Figure(figsize=(max(4, INCHES * len(frames)), 4.8), layout="constrained")
    grid = figure.add_gridspec(2, len(frames), height_ratios=(2, 1.4))
    for number, frame in enumerate(frames):
        axis = figure.add_subplot(grid[0, number])
        axis.imshow(frame)
        for third, (name, score) in enumerate(zip(THIRDS, scores[number], strict=True)):
            if score < threshold:
                top = len(frame) * third / len(THIRDS)
                bottom = len(frame) * (third + 1) / len(THIRDS)
                axis.axhspan(top, bottom, color="red", alpha=0.35, label=name)
        axis.set_axis_off()
    axis = figure.add_subplot(grid[1, :])
    for name, series in zip(THIRDS, scores.T, strict=True):
        axis.plot(range(len(frames)), series, marker="o", label=name)
    axis.axhline(threshold, color="grey", linestyle="--", label=f"threshold {threshold:.3f}")
    axis.set_xlabel("frame")
    axis.set_ylabel("score")
    axis.legend(fontsize=7, ncol=4)
    return figure


def draw_completions(columns: Mapping[str, Tensor]) -> Figure:
    """Draws versions of the same frames side by side, a row for each frame.

    Args:
        columns: N frames in [-1, 1] or N masks in [0, 1] by title.

    Shape:
        columns: ``(N, 3, H, W)`` or ``(N, 1, H, W)``.
    """
    rows = len(next(iter(columns.values())))
    figure = Figure(figsize=(INCHES * len(columns), 2.1 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for column, (title, frames) in enumerate(columns.items()):
        axes[0, column].set_title(textwrap.fill(title, 13), fontsize=8)
        for row, frame in enumerate(frames):
            pixels = frame.permute(1, 2, 0).cpu().numpy()
            if pixels.shape[2] == 1:
                axes[row, column].imshow(pixels[..., 0], cmap="gray", vmin=0, vmax=1)
            else:
                axes[row, column].imshow((pixels.clip(-1, 1) + 1) / 2)
            axes[row, column].set(
                xticks=[], yticks=[]
            )  # keeps the frame's edge: masks may be white
    return figure


@torch.no_grad()
def activation_maps(model: Any, clip: Tensor) -> Tensor:
    """Computes the maps of a re-ID network's last stage.

    Args:
        model: A clip model with a `backbone`, in eval mode.
        clip: The clip as the model takes it.

    Shape:
        clip: ``(1, T, 3, H, W)``; result: ``(T, C, h, w)``.
    """
    maps: list[Tensor] = []
    stage = model.backbone.stages[-1]
    handle = stage.register_forward_hook(lambda _stage, _inputs, output: maps.append(output))
    try:
        model(clip)
    finally:
        handle.remove()
    return torch.cat(maps)


def draw_activations(versions: Mapping[str, tuple[Sequence[Frame], Tensor]]) -> Figure:
    """Draws versions of the same frames, and below them how strongly the network responds to each.

    Reference: VRSTC, Fig. 6. All maps are drawn on one scale.

    Args:
        versions: By title, frames of a tracklet and the maps of the network's last stage.

    Shape:
        versions: T of ``(H, W, 3)`` and ``(T, C, h, w)``.
    """
    highest = torch.stack([response(maps).max() for _, maps in versions.values()]).max()
    rows: dict[str, Sequence[npt.NDArray[Any]]] = {
        title: frames for title, (frames, _) in versions.items()
    }
    for title, (frames, maps) in versions.items():
        rows[f"activation, {title}"] = responses(maps, frames, highest)
    return draw_rows(rows)


def draw_network_activations(
    model: Any, clip: Tensor, frames: Sequence[Frame]
) -> dict[str, Figure]:
    """Draws how strongly a re-ID network responds to the frames of a clip.

    Args:
        model: A clip model with a `backbone`, in eval mode.
        clip: The clip as the model takes it.
        frames: The same frames.

    Shape:
        clip: ``(1, T, 3, H, W)``; frames: T of ``(H, W, 3)``.
    """
    return {"activation": draw_activations({"frames": (frames, activation_maps(model, clip))})}
