"""torchvision's networks, and ResNet-18 of half the width."""

from collections.abc import Callable, Sequence

import torchvision
from torch import nn
from torchvision.models.inception import InceptionAux
from torchvision.models.resnet import BasicBlock

from torchreid_occ.models.backbones.network import Network
from torchreid_occ.models.backbones.weights import torchvision_source

_RESNET_STAGES = (
    ("conv1", "bn1", "relu", "maxpool", "layer1"),
    ("layer2",),
    ("layer3",),
    ("layer4",),
)
_GOOGLENET_STAGES = (
    ("conv1", "maxpool1", "conv2", "conv3"),
    ("maxpool2", "inception3a", "inception3b"),
    ("maxpool3", "inception4a", "inception4b", "inception4c", "inception4d", "inception4e"),
    ("maxpool4", "inception5a", "inception5b"),
)
_INCEPTION_V3_STAGES = (
    (
        *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"),
        *("maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    ),
    ("maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
    ("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
)
HALF = (0.5, 0.5, 0.5)  # torchvision's Inception weights expect frames in [-1, 1]


def load_auxiliary_weights(head: InceptionAux) -> None:
    """Gives an auxiliary head the ImageNet weights of Inception-v3's own.

    Args:
        head: The head; its last layer stays as it is.

    Raises:
        WeightsUnavailable: If the weights can neither be read nor downloaded.
    """
    prefix = "AuxLogits."
    published = TORCHVISION_NETWORKS["inception_v3"].sources["torchvision"]()
    weights = {
        key.removeprefix(prefix): value
        for key, value in published.weights.items()
        if key.startswith(prefix) and not key.startswith(f"{prefix}fc.")
    }
    last = {key: value for key, value in head.state_dict().items() if key.startswith("fc.")}
    head.load_state_dict({**weights, **last})


def _resnet(name: str, channels: tuple[int, ...]) -> Network:
    return Network(
        build=lambda drawn: torchvision.models.get_model(name, weights=None),
        stages=_RESNET_STAGES,
        channels=channels,
        sources={"torchvision": torchvision_source(name)},
        remove_last_stride=_keep_resnet_size,
    )


def _inception(name: str, stages: tuple[tuple[str, ...], ...], channels: Sequence[int]) -> Network:
    return Network(
        build=_inception_builder(name),
        stages=stages,
        channels=tuple(channels),
        sources={"torchvision": torchvision_source(name)},
        mean=HALF,
        std=HALF,
    )


def _inception_builder(name: str) -> Callable[[bool], nn.Module]:
    def build(drawn: bool) -> nn.Module:
        # Drawing the initial weights of an Inception takes seconds.
        return torchvision.models.get_model(
            name, weights=None, aux_logits=False, init_weights=drawn
        )

    return build


def _narrow_resnet18(channels: Sequence[int]) -> nn.Module:
    """ResNet-18 of other channels, for experiments on a CPU."""
    network = torchvision.models.resnet18(weights=None)
    network.conv1 = nn.Conv2d(3, channels[0], 7, stride=2, padding=3, bias=False)
    network.bn1 = nn.BatchNorm2d(channels[0])
    inputs = (channels[0], *channels)
    for number, (before, after) in enumerate(zip(inputs, channels, strict=False), start=1):
        shortcut = None
        if number > 1:
            conv = nn.Conv2d(before, after, 1, stride=2, bias=False)
            shortcut = nn.Sequential(conv, nn.BatchNorm2d(after))
        first = BasicBlock(before, after, stride=1 if shortcut is None else 2, downsample=shortcut)
        setattr(network, f"layer{number}", nn.Sequential(first, BasicBlock(after, after)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _keep_resnet_size(network: nn.Module) -> None:
    """Sets the stride of the first block of a ResNet's last stage to 1."""
    for name in ("conv1", "conv2", "downsample.0"):
        convolution = network.get_submodule(f"layer4.0.{name}")
        assert isinstance(convolution, nn.Conv2d)
        convolution.stride = (1, 1)


_HALF_WIDTH = (32, 64, 128, 256)
TORCHVISION_NETWORKS = {
    "resnet18_x0_5": Network(
        build=lambda drawn: _narrow_resnet18(_HALF_WIDTH),
        stages=_RESNET_STAGES,
        channels=_HALF_WIDTH,
        remove_last_stride=_keep_resnet_size,
    ),
    "resnet18": _resnet("resnet18", (64, 128, 256, 512)),
    "resnet34": _resnet("resnet34", (64, 128, 256, 512)),
    "resnet50": _resnet("resnet50", (256, 512, 1024, 2048)),
    "resnet101": _resnet("resnet101", (256, 512, 1024, 2048)),
    # Paper silent [T9]: torchvision's GoogLeNet, as its weights are public.
    "googlenet": _inception("googlenet", _GOOGLENET_STAGES, (192, 480, 832, 1024)),
    "inception_v3": _inception("inception_v3", _INCEPTION_V3_STAGES, (192, 288, 768, 2048)),
}
