"""Builds a backbone by name, with the weights that are asked for."""

from collections import OrderedDict

from torch import nn

from torchreid_occ.models.backbones.efficientnet_lite import EFFICIENTNETS
from torchreid_occ.models.backbones.network import Network
from torchreid_occ.models.backbones.stages import Backbone, InputScaling, Stage
from torchreid_occ.models.backbones.timm_networks import TIMM, timm_network
from torchreid_occ.models.backbones.torchvision_networks import TORCHVISION_NETWORKS
from torchreid_occ.models.backbones.weights import Published, find_weights
from torchreid_occ.utils.checkpoint import take_weights
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.logs import logger

BACKBONES: dict[str, Network] = {**TORCHVISION_NETWORKS, **EFFICIENTNETS}
_PART = "backbone."  # of the weights of a clip model


def build_backbone(
    name: str, pretrained: bool | str = False, last_stride: int = 2, rescale: bool = True
) -> Backbone:
    """Builds a backbone.

    Args:
        name: One of `BACKBONES`, or `timm/` and timm's name of a network.
        pretrained: True loads published ImageNet weights from the first source that has them, one
            of `SOURCES` from this source alone. The path of a file, or its address on a hub
            (`hf://OWNER/REPOSITORY/FILE`), loads published weights, or the weights of the backbone
            of a model's checkpoint.
        last_stride: 1 removes the last down-sampling (the papers' "modified ResNet"), 2 keeps it.
        rescale: Whether a network whose weights expect another normalisation turns ImageNet's into
            its own; if not, it expects frames in its own, which is [-1, 1] for Inceptions.

    Returns:
        A `Backbone`, expecting frames normalised by ImageNet's mean and standard deviation.

    Raises:
        ValueError: If the name or the stride is not one of the allowed, or the weights do not fit.
        FileNotFoundError: If there is no such file.
        WeightsUnavailable: If the weights can neither be read nor downloaded.
    """
    network = _network(name)
    if last_stride not in network.last_strides:
        raise ValueError(
            f"Received last_stride {last_stride} for {name}, but expected to be one of "
            f"{network.last_strides}"
        )
    found = find_weights(name, network.sources, pretrained)
    module = network.build(found is None)
    of_a_model = found is not None and any(key.startswith(_PART) for key in found.weights)
    if found is not None and not of_a_model:
        _take_published(module, network, found)
    if last_stride == 1 and network.remove_last_stride is not None:
        network.remove_last_stride(module)
    backbone = _cut(module, network, last_stride, rescale)
    if found is not None:
        if of_a_model:
            taken = take_weights(backbone, found.weights, found.origin.name, _PART)
            logger.info("Weights of %s: %s.", found.origin.name, taken)
        logger.info("The %s starts from %s.", name, found.origin)
        backbone.origin = found.origin
    return backbone


def _network(name: str) -> Network:
    if name.startswith(TIMM):
        return timm_network(name.removeprefix(TIMM))
    check_choice("backbone", name, (*BACKBONES, f"{TIMM}NAME"))
    return BACKBONES[name]


def _take_published(module: nn.Module, network: Network, found: Published) -> None:
    """Loads published weights; those of other parts, such as the classifier, are left."""
    own = module.state_dict()
    # Old files lack the counts of batches, which no layer here reads.
    counts = {name: own[name] for name in own if name.endswith("num_batches_tracked")}
    theirs = found.weights if network.renamed is None else network.renamed(found.weights)
    weights = {name: tensor for name, tensor in theirs.items() if name in own}
    take_weights(module, {**counts, **weights}, found.origin.name)


def _cut(module: nn.Module, network: Network, last_stride: int, rescale: bool) -> Backbone:
    """Cuts a network into its stages."""
    strides = network.strides
    if last_stride == 1:
        strides = (*strides[:-1], strides[-2])
    stages: list[Stage] = []
    for children, stride in zip(network.stages, (1, *strides), strict=False):
        layers = OrderedDict((child, module.get_submodule(child)) for child in children)
        if not stages and network.scales_input:
            scaling = InputScaling(network.mean, network.std) if rescale else nn.Identity()
            layers = OrderedDict(input_scaling=scaling, **layers)
        stages.append(Stage(layers, stride))
    return Backbone(stages, network.channels, strides)
