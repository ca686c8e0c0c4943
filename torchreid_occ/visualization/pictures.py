"""Pictures of what a trained model does to a tracklet."""

from pathlib import Path

import numpy as np
from PIL import Image

from torchreid_occ.data.images import read_image
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
