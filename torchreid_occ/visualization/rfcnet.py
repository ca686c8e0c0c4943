"""Effect of RFCnet's blocks on a clip: the paper's Figs. 8, 10, 13 and 15 for any tracklet."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from torchreid_occ.models.layers.rfc import RfcOutput
from torchreid_occ.models.layers.srfc import SrfcOutput
from torchreid_occ.models.layers.trfc import TrfcOutput
from torchreid_occ.models.rfcnet import RFCnet
from torchreid_occ.visualization.maps import Frame, draw_rows, enlarged

REGION_COLOURS = matplotlib.colormaps["tab10"]


@torch.no_grad()
def draw_rfcnet(model: RFCnet, clip: Tensor, frames: Sequence[Frame]) -> dict[str, Figure]:
    """Draws each block's partition, foreground, assignment and temporal gate.

    Reference: RFCnet, Fig. 8 (partition and foreground), Figs. 10 and 13 (assignment, region
    features before and after SRFC), Fig. 15 (the same over time for TRFC, and its gate).

    Args:
        model: The model.
        clip: The clip as the model takes it.
        frames: The same frames.

    Shape:
        clip: ``(1, T, 3, H, W)``; frames: T of ``(H, W, 3)``.

    Returns:
        Figures by name; a variant without a part has no picture of it.
    """
    training = model.training
    blocks = model.eval().forward_clip(clip).blocks
    model.train(training)
    figures = {}
    for stage, block in zip(model.blocks, blocks, strict=True):
        pictures = {
            "partition": _draw_below(frames, _partition_overlays(block, frames)),
            "foreground": _draw_below(frames, _foreground_overlays(block, frames)),
            "assignment": _draw_assignment(block.spatial),
            "temporal": _draw_temporal(block.temporal),
        }
        for name, figure in pictures.items():
            if figure is not None:
                figure.suptitle(f"{name}, block after stage {stage}", fontsize=9)
                figures[f"stage{stage}_{name}"] = figure
    return figures


def _draw_below(
    frames: Sequence[Frame], overlays: Sequence[npt.NDArray[np.floating]] | None
) -> Figure | None:
    """Draws the frames above the overlays."""
    return None if overlays is None else draw_rows({"frames": frames, "block": overlays})


def _partition_overlays(
    block: RfcOutput, frames: Sequence[Frame]
) -> list[npt.NDArray[np.floating]] | None:
    """Tints each region of the frames in its colour; soft masks blend."""
    if block.regions is None:
        return None
    masks = enlarged(block.regions.masks, frames).numpy()
    colours = np.array([REGION_COLOURS(i)[:3] for i in range(masks.shape[1])])
    overlays = []
    for frame, regions in zip(frames, masks, strict=True):
        weights = regions.sum(0, keepdims=True).clip(1)
        tint = np.einsum("nhw,nc->hwc", regions / weights, colours)
        overlays.append(0.45 * frame / 255 + 0.55 * tint)
    return overlays


def _foreground_overlays(
    block: RfcOutput, frames: Sequence[Frame]
) -> list[npt.NDArray[np.floating]] | None:
    """Shows the foreground probability as brightness, from black (0) to white (1)."""
    if block.foreground_logits is None:
        return None
    maps = enlarged(torch.sigmoid(block.foreground_logits), frames).numpy()
    return [np.repeat(probability.transpose(1, 2, 0), 3, axis=2) for probability in maps]


def _draw_assignment(spatial: SrfcOutput | None) -> Figure | None:
    """Draws features before and after, encoding and decoding matrix of the first frame."""
    if spatial is None:
        return None
    assignment = spatial.assignment[0].float().cpu()
    encoding = assignment / assignment.sum(0, keepdim=True).clamp(min=1e-12)
    features = _first_component(torch.stack([spatial.initial[0], spatial.completed[0]]))
    figure = Figure(figsize=(7, 3), layout="constrained")
    panels = figure.subplots(1, 3)
    names = [f"R{i + 1}" for i in range(len(assignment))]
    clusters = [f"c{i + 1}" for i in range(assignment.shape[1])]
    _draw_matrix(panels[0], features.T, names, ["f", "o"], "features (PCA)", "{:.1f}", "coolwarm")
    _draw_matrix(panels[1], 100 * encoding, names, clusters, "encoding A x 100", "{:.0f}")
    _draw_matrix(panels[2], 100 * assignment.T, clusters, names, "decoding B x 100", "{:.0f}")
    return figure


def _draw_temporal(temporal: TrfcOutput | None) -> Figure | None:
    """Draws features before and after and the gate of each region over time."""
    if temporal is None or temporal.gate is None:
        return None
    features = _first_component(torch.stack([temporal.initial, temporal.completed]))
    gate = temporal.gate.mean(2).float().cpu().T
    frames = [str(i + 1) for i in range(gate.shape[1])]
    names = [f"R{i + 1}" for i in range(gate.shape[0])]
    figure = Figure(figsize=(max(7, 1.4 * len(frames)), 3), layout="constrained")
    panels = figure.subplots(1, 3)
    for panel, values, title in zip(panels, features, ("o (PCA)", "e (PCA)"), strict=False):
        _draw_matrix(panel, values.T, names, frames, title, "{:.1f}", "coolwarm")
    _draw_matrix(panels[2], gate, names, frames, "gate g", "{:.2f}")
    return figure


def _draw_matrix(
    axis: Axes,
    matrix: Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    form: str,
    colours: str = "Greens",
) -> None:
    values = matrix.numpy()
    image = axis.imshow(values, cmap=colours, aspect="auto")
    axis.set_title(title, fontsize=8)
    axis.set_xticks(range(len(columns)), columns, fontsize=7)
    axis.set_yticks(range(len(rows)), rows, fontsize=7)
    if values.size <= 150:  # more numbers are not legible
        brightness = image.to_rgba(values)[..., :3].mean(2)
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if brightness[row, column] < 0.4 else "black"
            text = form.format(value)
            axis.text(column, row, text, ha="center", va="center", fontsize=6, color=colour)


def _first_component(features: Tensor) -> Tensor:
    """Projects features on their first principal component: ``(..., D)`` to ``(...)``."""
    flat = features.float().cpu().flatten(0, -2)
    centred = flat - flat.mean(0)
    _, _, components = torch.linalg.svd(centred, full_matrices=False)
    return (centred @ components[0]).reshape(features.shape[:-1])
