"""Clip models and their table."""

from typing import Any

from torchreid_occ._registry import MODELS, register_model
from torchreid_occ._torchreid import factory_table, torchreid
from torchreid_occ.models.baseline import baseline
from torchreid_occ.models.clip_model import ClipModel, ClipOutput
from torchreid_occ.models.qan import qan
from torchreid_occ.models.rfcnet import rfcnet
from torchreid_occ.models.rru_stim import rru_stim
from torchreid_occ.models.trl_st2n import trl_st2n
from torchreid_occ.models.vrstc import vrstc
from torchreid_occ.utils.weights import WeightsUnavailable

__all__ = [
    "MODELS",
    "ClipModel",
    "ClipOutput",
    "WeightsUnavailable",
    "baseline",
    "build_model",
    "list_models",
    "qan",
    "register_model",
    "rfcnet",
    "rru_stim",
    "torchreid_models",
    "trl_st2n",
    "vrstc",
]


def build_model(
    name: str,
    num_classes: int,
    pretrained: bool | str = False,
    height: int = 256,
    width: int = 128,
    **options: Any,
) -> ClipModel:
    """Builds a clip model by name.

    Args:
        name: One of `MODELS`.
        num_classes: Number of training identities.
        pretrained: Initial weights of the backbone, see `build_backbone`.
        height: Height of the frames.
        width: Width of the frames.
        **options: Keyword options of the builder `MODELS[name]`.

    Raises:
        KeyError: If there is no such model.
    """
    model: ClipModel = MODELS[name](
        num_classes, pretrained=pretrained, height=height, width=width, **options
    )
    return model


def list_models() -> list[str]:
    """Returns the names that `build_model` takes."""
    return sorted(MODELS)


def torchreid_models() -> list[str]:
    """Returns the names of torchreid's own models, without those this package registered."""
    return sorted(factory_table(torchreid.models, "__model_factory").keys() - MODELS.keys())
