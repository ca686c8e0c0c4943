"""Weights of RRU-STIM's released code, renamed for ours."""

from collections.abc import Mapping

import torch
from torch import Tensor

from torchreid_occ.models.backbones import BACKBONES
from torchreid_occ.models.released.rename import rename

CONFIG = {
    "model": {"name": "rru_stim", "options": {"activation": "leaky"}},
    "data": {
        "height": 299,
        "width": 299,
        "interpolation": "bicubic",
        "norm_mean": [0.5] * 3,
        "norm_std": [0.5] * 3,
    },
}
CLASSIFIER = "classifier.4"
_NAMES = {
    "feature.feature.AuxLogits.": "auxiliary.",
    "fuse_net.reduce_dim_z.conv.": "rru.transition.",
    "fuse_net.reduce_dim_z.bn.": "rru.bn.",
    "fuse_net.s_atten_z.": "rru.spatial.",
    "fuse_net.c_atten_z.1.": "rru.channel.",
    "fuse_net.t_info.0.": "integration.reduce.0.",
    "fuse_net.t_info.1.": "integration.reduce.1.",
    "fuse_net.t_info.3.": "integration.integrate.0.",
    "fuse_net.t_info.4.": "integration.integrate.1.",
    "classifier.0.0.": "classifier.0.",
    "classifier.0.1.": "classifier.1.",
    "classifier.1.0.": "classifier.4.",
}
_NAMES |= {
    f"feature.feature.{child}.": f"backbone.stages.{stage}.{child}."
    for stage, children in enumerate(BACKBONES["inception_v3"].stages)
    for child in children
}
_LINEAR = ("rru.spatial.0.weight", "rru.spatial.2.weight", "rru.channel.weight")


def convert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the released model's weights, and changes the sign of one.

    The released unit reads the refined map minus the frame's, where Eq. 1 has the frame's minus
    the refined: the weights on that difference change sign.

    Args:
        state_dict: Weights by the released code's names.

    Returns:
        Weights for the model of `CONFIG`.

    Raises:
        KeyError: If a name is not one of the released model's.
    """
    converted = rename(state_dict, _NAMES)
    for name in _LINEAR:  # convolutions over a whole map there
        converted[name] = converted[name].flatten(1)
    appearance, motion = converted["rru.transition.weight"].chunk(2, dim=1)
    converted["rru.transition.weight"] = torch.cat((-appearance, motion), dim=1)
    return converted
