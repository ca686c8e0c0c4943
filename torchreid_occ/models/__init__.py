"""Clip models and their table."""

from torchreid_occ.models.baseline import baseline
from torchreid_occ.models.clip_model import ClipModel, ClipOutput
from torchreid_occ.models.rfcnet import rfcnet
from torchreid_occ.models.rru_stim import rru_stim
from torchreid_occ.models.trl_st2n import trl_st2n
from torchreid_occ.models.vrstc import vrstc
from torchreid_occ.utils.weights import WeightsUnavailable

MODELS = {
    "baseline": baseline,
    "rfcnet": rfcnet,
    "rru_stim": rru_stim,
    "trl_st2n": trl_st2n,
    "vrstc": vrstc,
}

__all__ = ["MODELS", "ClipModel", "ClipOutput", "WeightsUnavailable", "build_model"]


def build_model(name, num_classes, pretrained=False, height=256, width=128, **options):
    """Builds a clip model by name.

    Args:
        name: One of `MODELS`.
        num_classes: Number of training identities.
        pretrained: What the backbone starts from: see `build_backbone`.
        height: Height of the frames.
        width: Width of the frames.
        **options: Keyword options of the builder `MODELS[name]`.

    Raises:
        KeyError: If there is no such model.
    """
    if name not in MODELS:
        raise KeyError(f'Received model "{name}", but expected to be one of {sorted(MODELS)}')
    return MODELS[name](num_classes, pretrained, height, width, **options)
