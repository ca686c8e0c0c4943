"""Builds what a configuration or a checkpoint names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.config import config_of
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine.backend import Backend
from torchreid_occ.engine.clip_backend import ClipBackend, new_clip_model
from torchreid_occ.engine.torchreid_backend import TorchreidBackend
from torchreid_occ.models import ClipModel
from torchreid_occ.utils.checkpoint import load_checkpoint
from torchreid_occ.utils.layout import lay_out_channels_last

BACKENDS: dict[str, type[Backend]] = {"clip": ClipBackend, "torchreid": TorchreidBackend}


def backend_of(config: CfgNode) -> Backend:
    """Returns what builds and runs the parts of a configuration, as its ``engine`` says.

    Args:
        config: From :func:`torchreid_occ.config.load_config`.
    """
    return BACKENDS[config.engine](config)


class TrainedModel(NamedTuple):
    """The model of a checkpoint.

    Attributes:
        model: The model, in eval mode on the CPU.
        config: Its configuration.
        num_classes: Number of training identities.
    """

    model: ClipModel
    config: CfgNode
    num_classes: int


def load_trained_model(path: StrPath) -> TrainedModel:
    """Loads the model of a checkpoint.

    Weights lie in memory as the engine lays them out, so that features equal the engine's.

    Args:
        path: The checkpoint.

    Raises:
        KeyError: If its configuration has a key that does not exist.
        ValueError: If the checkpoint does not name the model it holds, or holds another.
    """
    state = load_checkpoint(path, needed=("config", "num_classes", "state_dict"))
    return trained_model_of(state, str(path))


def trained_model_of(state: Mapping[str, Any], origin: str) -> TrainedModel:
    """Builds the model of a checkpoint's content.

    Args:
        state: Its `config`, `num_classes` and `state_dict`.
        origin: Where it comes from, for errors.

    Raises:
        KeyError: If its configuration has a key that does not exist.
        ValueError: If it holds another model than it names.
    """
    config = config_of(state["config"], origin=origin)
    try:
        model = new_clip_model(config, state["num_classes"])
        model.load_state_dict(state["state_dict"])
    except Exception as error:  # a builder may raise anything for options of another model
        raise ValueError(f"{origin} does not hold the model it says it does: {error}") from error
    lay_out_channels_last(model)
    return TrainedModel(model.eval(), config, state["num_classes"])


def build_test_transform(config: CfgNode) -> ClipTransform:
    """Builds the transform of frames at test: resize and normalise.

    Args:
        config: The configuration of the model that reads them.
    """
    data = config.data
    return ClipTransform(
        data.height,
        data.width,
        (),
        data.norm_mean,
        data.norm_std,
        interpolation=data.interpolation,
    )
