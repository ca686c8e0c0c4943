"""Pictures of what a trained model does to a tracklet."""

from pathlib import Path

import numpy as np
from PIL import Image

from torchreid_occ._types import StrPath
from torchreid_occ.config import plain
from torchreid_occ.data.datasets.base import frames_in
from torchreid_occ.data.images import read_image
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.runs.builders import build_test_transform, load_trained_model
from torchreid_occ.utils.files import replacing
from torchreid_occ.visualization import PICTURES


def draw_pictures(checkpoint, frame_paths, folder):
    """Writes the pictures of a model for one tracklet.

    Args:
        checkpoint: A checkpoint of this package.
        frame_paths: Paths of the tracklet's frames, in order.
        folder: Where the PNG files go.

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


def frames_of_tracklet(
    checkpoint: StrPath, tracklet: int | StrPath = 0, count: int = 8
) -> list[str]:
    """Returns paths of frames of a tracklet, evenly spaced.

    Args:
        checkpoint: A checkpoint of this package.
        tracklet: Number of a query of the model's first target, or a folder of frames.
        count: Number of frames; all of a shorter tracklet.

    Raises:
        ValueError: If there is no such query, or `count` is below 1.
        FileNotFoundError: If there is no such checkpoint, folder or dataset.
    """
    if count < 1:
        raise ValueError(f"The number of frames is {count}, but must be at least 1.")
    if not isinstance(tracklet, int):
        frames = frames_in(Path(tracklet))
    else:
        _, config = load_trained_model(checkpoint)
        name = (config.data.targets or config.data.sources)[0]
        options = plain(config.data.options).get(name)
        dataset = load_dataset(name, config.data.root, config.data.split_id, options=options)
        queries = tracklets_of(dataset)["query"]
        if tracklet >= len(queries):
            raise ValueError(f"{name} has queries 0 to {len(queries) - 1}.")
        frames = queries[tracklet][0]
    step = max(1, len(frames) // count)
    return [*frames[::step][:count]]


def model_figures(model, config, frame_paths):
    """Draws what a model does to a tracklet.

    Args:
        model: A model on the CPU, of a kind in ``PICTURES``.
        config: Its configuration.
        frame_paths: Paths of the tracklet's frames, in order.

    Returns:
        Matplotlib figures by name.
    """
    data = config.data
    frames = [read_image(path) for path in frame_paths]
    clip, _, _ = build_test_transform(config)(frames)
    size = (data.width, data.height)
    shown = [np.asarray(frame.resize(size, Image.Resampling.BILINEAR)) for frame in frames]
    return PICTURES[config.model.name](model, clip[None], shown)
