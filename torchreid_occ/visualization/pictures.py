"""Pictures of what a trained model does to a tracklet, by the name of the model."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn
from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.config import plain
from torchreid_occ.data.datasets.base import frames_in
from torchreid_occ.data.images import read_image
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.runs.builders import build_test_transform, load_trained_model
from torchreid_occ.utils.files import replacing
from torchreid_occ.visualization.maps import Frame
from torchreid_occ.visualization.rfcnet import draw_rfcnet
from torchreid_occ.visualization.rru_stim import draw_rru_stim
from torchreid_occ.visualization.trl_st2n import draw_trl_st2n

# Draws figures by name for a model of its own class, a clip and the frames of the clip.
Drawing: TypeAlias = Callable[[Any, Tensor, Sequence[Frame]], dict[str, Figure]]


class ModelPictures(NamedTuple):
    """Pictures of a kind of model.

    Attributes:
        draw: Draws them, named by kind, or by stage and kind as ``stage3_partition``.
        captions: Caption of each kind.
    """

    draw: Drawing
    captions: Mapping[str, str]


# By `model.name`.
PICTURES = {
    "rfcnet": ModelPictures(
        draw_rfcnet,
        {
            "partition": "Partition: the regions the block divides each frame into, each in its "
            "colour",
            "foreground": "Foreground: the probability that a place shows the person, white being "
            "1",
            "assignment": "Assignment: region features before (f) and after completion (o), and to "
            "which clusters the encoding and decoding matrices assign the regions",
            "temporal": "Gate: region features over time before (o) and after (e), and how much of "
            "a region's own feature the gate keeps",
        },
    ),
    "rru_stim": ModelPictures(
        draw_rru_stim,
        {
            "refinement": "Refinement: how strongly the maps respond, before and after earlier "
            "frames have filled in what is hidden"
        },
    ),
    "trl_st2n": ModelPictures(
        draw_trl_st2n,
        {"alignment": "Alignment: frames and maps as they are, and as the transformer aligns them"},
    ),
}


def draw_pictures(
    checkpoint: StrPath, frame_paths: Sequence[StrPath], folder: StrPath
) -> list[Path]:
    """Writes the pictures of a model for one tracklet as PNG files.

    Args:
        checkpoint: A checkpoint of this package.
        frame_paths: Paths of the tracklet's frames, in order.
        folder: Where the files go.

    Returns:
        The paths of the pictures.

    Raises:
        ValueError: If there are no frames, or no pictures for this kind of model.
    """
    if not frame_paths:
        raise ValueError("There are no frames to draw.")
    model, config = load_trained_model(checkpoint)
    if config.model.name not in PICTURES:
        raise ValueError(
            f"{checkpoint} holds the model {config.model.name!r}, but pictures are drawn of "
            f"{sorted(PICTURES)}."
        )
    paths = []
    for name, figure in model_figures(model, config, frame_paths).items():
        path = Path(folder) / f"{name}.png"
        with replacing(path) as file:
            figure.savefig(file, format="png", dpi=110)
        paths.append(path)
    return paths


def model_figures(
    model: nn.Module, config: CfgNode, frame_paths: Sequence[StrPath]
) -> dict[str, Figure]:
    """Draws what a model does to a tracklet.

    Args:
        model: A model on the CPU, of a kind in ``PICTURES``.
        config: Its configuration.
        frame_paths: Paths of the tracklet's frames, in order.

    Returns:
        Figures by name.
    """
    data = config.data
    frames = [read_image(path) for path in frame_paths]
    clip, _, _ = build_test_transform(config)(frames)
    size = (data.width, data.height)
    shown = [np.asarray(frame.resize(size, Image.Resampling.BILINEAR)) for frame in frames]
    return PICTURES[config.model.name].draw(model, clip[None], shown)


def frames_of_tracklet(
    checkpoint: StrPath, tracklet: int | StrPath, num_frames: int = 8
) -> list[str]:
    """Lists frames of a tracklet to draw, in order.

    Args:
        checkpoint: The checkpoint of the model.
        tracklet: Number of a query of the model's first target, or a folder of frames.
        num_frames: Number of frames, evenly spread; a shorter tracklet gives all of its.

    Raises:
        FileNotFoundError: If there is no such folder or dataset.
        ValueError: If there is no such query, or ``num_frames`` is less than 1.
    """
    if num_frames < 1:
        raise ValueError(f"Received {num_frames} frames to draw, but expected 1 or more.")
    paths = _query(checkpoint, tracklet) if isinstance(tracklet, int) else frames_in(Path(tracklet))
    step = max(1, len(paths) // num_frames)
    return [*paths[::step][:num_frames]]


def _query(checkpoint: StrPath, number: int) -> Sequence[str]:
    """Returns the frames of a query of a model's first target."""
    _, config = load_trained_model(checkpoint)
    data = config.data
    name = (data.targets or data.sources)[0]
    options = plain(data.options).get(name)
    queries = tracklets_of(load_dataset(name, data.root, data.split_id, options=options))["query"]
    if not 0 <= number < len(queries):
        raise ValueError(
            f"Received query {number}, but {name} has queries 0 to {len(queries) - 1}."
        )
    return queries[number][0]
