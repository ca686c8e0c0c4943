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
from torchreid_occ.completion.builders import load_generator
from torchreid_occ.completion.copy import complete_tracklet
from torchreid_occ.completion.figures import (
    activation_maps,
    draw_activations,
    draw_network_activations,
)
from torchreid_occ.completion.scores import score_by_thirds
from torchreid_occ.config import plain
from torchreid_occ.data.datasets.base import frames_in
from torchreid_occ.data.frame_strip import spread_frames
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
    "vrstc": ModelPictures(
        draw_network_activations,
        {"activation": "Activation: how strongly the network's last maps respond"},
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
    model, config, _ = load_trained_model(checkpoint)
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
    frames = [read_image(path) for path in frame_paths]
    clip, _, _ = build_test_transform(config)(frames)
    return PICTURES[config.model.name].draw(model, clip[None], _resized(frames, config))


def draw_completion(
    checkpoint: StrPath,
    completion: StrPath,
    frame_paths: Sequence[str],
    folder: StrPath,
    num_frames: int = 8,
    tau: float = 0.89,
) -> Path:
    """Writes how a re-ID network responds to a tracklet before and after completion, as a PNG file.

    Reference: VRSTC, Fig. 6. Thirds are scored by the same network.

    Args:
        checkpoint: A checkpoint of a re-ID network with a backbone.
        completion: A checkpoint of task 'train_completion'.
        frame_paths: Paths of all frames of the tracklet, in order.
        folder: Where the file goes.
        num_frames: Number of completed frames that are shown, evenly spread.
        tau: Score below which a third is completed.

    Returns:
        The path of the picture, ``completion.png``.

    Raises:
        ValueError: If there are no frames, or no third scores below `tau`.
    """
    if not frame_paths:
        raise ValueError("There are no frames to draw.")
    model, config, _ = load_trained_model(checkpoint)
    transform = build_test_transform(config)
    (scores,) = score_by_thirds(model, [(tuple(frame_paths), 0, 0, 0)], transform, 0, workers=0)
    occluded = scores < tau
    if not occluded.any():
        raise ValueError(
            f"No third of these frames scores below {tau:g} (the lowest has {scores.min():.3f}), "
            "so that nothing is completed: choose a higher tau or another tracklet."
        )
    generator, size, interpolation = load_generator(completion)
    original = [read_image(path) for path in frame_paths]
    new = complete_tracklet(generator, frame_paths, occluded, size, interpolation)
    completed = [new.get(number, frame) for number, frame in enumerate(original)]
    numbers = spread_frames([*new], num_frames)
    versions = {}
    for title, frames in (("original", original), ("completed", completed)):
        clip, _, _ = transform(frames)
        shown = _resized([frames[number] for number in numbers], config)
        versions[title] = (shown, activation_maps(model, clip[None])[numbers])
    path = Path(folder) / "completion.png"
    with replacing(path) as file:
        draw_activations(versions).savefig(file, format="png", dpi=110)
    return path


def frames_of_tracklet(
    checkpoint: StrPath, tracklet: int | StrPath, num_frames: int | None = 8
) -> list[str]:
    """Lists frames of a tracklet to draw, in order.

    Args:
        checkpoint: The checkpoint of the model.
        tracklet: Number of a query of the model's first target, or a folder of frames.
        num_frames: Number of frames, evenly spread; a shorter tracklet gives all of its. None
            gives all.

    Raises:
        FileNotFoundError: If there is no such folder or dataset.
        ValueError: If there is no such query, or ``num_frames`` is less than 1.
    """
    if num_frames is not None and num_frames < 1:
        raise ValueError(f"Received {num_frames} frames to draw, but expected 1 or more.")
    paths = _query(checkpoint, tracklet) if isinstance(tracklet, int) else frames_in(Path(tracklet))
    return [*paths] if num_frames is None else spread_frames(paths, num_frames)


def _resized(frames: Sequence[Image.Image], config: CfgNode) -> list[Frame]:
    """Returns frames as pixels at the size of a model's input."""
    size = (config.data.width, config.data.height)
    return [np.asarray(frame.resize(size, Image.Resampling.BILINEAR)) for frame in frames]


def _query(checkpoint: StrPath, number: int) -> Sequence[str]:
    """Returns the frames of a query of a model's first target."""
    _, config, _ = load_trained_model(checkpoint)
    data = config.data
    name = (data.targets or data.sources)[0]
    options = plain(data.options).get(name)
    queries = tracklets_of(load_dataset(name, data.root, data.split_id, options=options))["query"]
    if not 0 <= number < len(queries):
        raise ValueError(
            f"Received query {number}, but {name} has queries 0 to {len(queries) - 1}."
        )
    return queries[number][0]
