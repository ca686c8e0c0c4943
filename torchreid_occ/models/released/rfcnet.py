"""Weights of RFCnet's released image model, renamed for ours."""

from collections.abc import Mapping

from torch import Tensor

from torchreid_occ.models.released.rename import rename

CONFIG = {
    "model": {
        "name": "rfcnet",
        "options": {
            "arrangement": "S",
            "region_feature": "official",
            "position": "official_topleft",
        },
    },
    "data": {"interpolation": "bicubic"},
}

CLASSIFIER = "classifier"
_NETWORK = {
    "conv1.": "backbone.stages.0.conv1.",
    "bn1.": "backbone.stages.0.bn1.",
    "layer1.": "backbone.stages.0.layer1.",
    "layer2.": "backbone.stages.1.layer2.",
    "layer3.": "backbone.stages.2.layer3.",
    "layer4.": "backbone.stages.3.layer4.",
    "bn.": "neck.",
    "classifier.": "classifier.",
}
_BLOCK = {
    "APU.conv.conv.": "partition.descriptors.conv.",
    "APU.conv.bn.": "partition.descriptors.bn.",
    "APU.cls_ver.": "partition.row_head.",
    "APU.cls_hor.": "partition.column_head.",
    "SA.conv.conv.": "foreground.conv.",
    "SA.conv.bn.": "foreground.bn.",
    "conv_reduce.": "spatial.reduce.",
    "SRFC.conv1.": "spatial.completion.appearance.",
    "SRFC.conv2.": "spatial.completion.position.",
    "SRFC.conv.": "spatial.completion.encode.",
    "SRFC.conv3.": "spatial.completion.decode.",
    "conv_extend.": "spatial.extend.",
}
_NAMES = {
    **_NETWORK,
    **{f"RFC1.{theirs}": f"blocks.2.{ours}" for theirs, ours in _BLOCK.items()},
    **{f"RFC2.{theirs}": f"blocks.3.{ours}" for theirs, ours in _BLOCK.items()},
}
_LINEAR = ("row_head", "column_head", "completion")  # 1x1 convolutions there, linear layers here


def convert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the released image model's weights.

    Args:
        state_dict: Weights by the released code's names.

    Returns:
        Weights for the model of `CONFIG`.

    Raises:
        KeyError: If a name is not one of the released model's.
    """
    renamed = rename(state_dict, _NAMES)
    return {
        name: tensor.flatten(1) if _is_linear(name, tensor) else tensor
        for name, tensor in renamed.items()
    }


def _is_linear(name: str, tensor: Tensor) -> bool:
    return tensor.dim() == 4 and any(part in name for part in _LINEAR)
