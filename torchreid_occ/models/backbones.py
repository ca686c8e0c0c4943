"""Backbones: torchvision's image networks, cut into four stages with known channels and strides."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torchvision
from torch import Tensor, nn
from torch.func import functional_call
from torchvision.models.inception import InceptionAux
from torchvision.models.resnet import BasicBlock

from torchreid_occ.utils.checkpoint import load_weights
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.weights import WeightsUnavailable, torchvision_weights

PIXELS = 8 * 256 * 128  # of the frames that a stage processes at a time on a CPU


class _Spec(NamedTuple):
    """How a torchvision network is cut: the names of its children and the channels, by stage."""

    stages: tuple[tuple[str, ...], ...]
    channels: tuple[int, ...]
    is_inception: bool = False
    is_narrow: bool = False  # ResNet-18 of these channels, which torchvision does not build


_RESNET_STAGES = (
    ("conv1", "bn1", "relu", "maxpool", "layer1"),
    ("layer2",),
    ("layer3",),
    ("layer4",),
)
_GOOGLENET_STAGES = (
    ("input_scaling", "conv1", "maxpool1", "conv2", "conv3"),
    ("maxpool2", "inception3a", "inception3b"),
    ("maxpool3", "inception4a", "inception4b", "inception4c", "inception4d", "inception4e"),
    ("maxpool4", "inception5a", "inception5b"),
)
_INCEPTION_V3_STAGES = (
    (
        *("input_scaling", "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"),
        *("maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    ),
    ("maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
    ("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
)
BACKBONES = {
    "resnet18_x0_5": _Spec(_RESNET_STAGES, (32, 64, 128, 256), is_narrow=True),
    "resnet18": _Spec(_RESNET_STAGES, (64, 128, 256, 512)),
    "resnet34": _Spec(_RESNET_STAGES, (64, 128, 256, 512)),
    "resnet50": _Spec(_RESNET_STAGES, (256, 512, 1024, 2048)),
    "resnet101": _Spec(_RESNET_STAGES, (256, 512, 1024, 2048)),
    # Paper silent [T9]: torchvision's GoogLeNet, as its weights are public.
    "googlenet": _Spec(_GOOGLENET_STAGES, (192, 480, 832, 1024), is_inception=True),
    "inception_v3": _Spec(_INCEPTION_V3_STAGES, (192, 288, 768, 2048), is_inception=True),
}


class Stage(nn.Sequential):
    """A part of a backbone.

    On a CPU in eval mode without gradients, it processes few frames at a time, so that their maps
    stay in the cache and memory is reused.

    Args:
        layers: The layers by name.
        stride: Down-sampling of the stage's input against the frames.
    """

    def __init__(self, layers: OrderedDict[str, nn.Module], stride: int) -> None:
        super().__init__(layers)
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the last layer's map."""
        whole = self.training or torch.is_grad_enabled() or torch.compiler.is_compiling()
        if whole or maps.device.type != "cpu":
            return self._run(maps)
        few = max(1, PIXELS // (maps.shape[2] * maps.shape[3] * self.stride**2))
        return torch.cat([self._run(part) for part in maps.split(few)])

    def _run(self, maps: Tensor) -> Tensor:
        for layer in self:
            maps = layer(maps)
        return maps


class Backbone(nn.Module):
    """An image network without its pooling and classifier, as a sequence of stages.

    Args:
        stages: The stages, in order.
        channels: Output channels of each stage.
        strides: Down-sampling of each stage's output against the input.
    """

    def __init__(
        self, stages: Iterable[Stage], channels: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(channels)
        self.strides = tuple(strides)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the last stage's map."""
        for stage in self.stages:
            images = stage(images)
        return images

    def map_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Finds the map size after each stage, without any computation on data.

        Args:
            height: Height of the input.
            width: Width of the input.

        Returns:
            A list of `(height, width)`, one for each stage.

        Raises:
            ValueError: If the input is too small for the network.
        """
        sizes = []
        maps = torch.empty(2, 3, height, width, device="meta")
        for stage in self.stages:
            tensors = (*stage.named_parameters(), *stage.named_buffers())
            state = {name: tensor.to("meta") for name, tensor in tensors}
            try:
                maps = functional_call(stage, state, (maps,))
            except RuntimeError as error:
                raise ValueError(
                    f"Received frames of {height}x{width}, which are too small for this backbone"
                ) from error
            sizes.append((maps.shape[-2], maps.shape[-1]))
        return sizes


class _InceptionInput(nn.Module):
    """Turns ImageNet normalisation into the [-1, 1] that torchvision's Inception weights expect.

    Used with and without pretrained weights, so that checkpoints of both take the same frames.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
        std = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
        self.register_buffer("scale", 2 * std, persistent=False)
        self.register_buffer("shift", 2 * mean - 1, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return images * self.scale + self.shift


def build_backbone(
    name: str, pretrained: bool | str = False, last_stride: int = 2, rescale: bool = True
) -> Backbone:
    """Builds a backbone.

    Args:
        name: One of `BACKBONES`.
        pretrained: True loads torchvision's ImageNet weights; the path of a checkpoint loads the
            weights of its model's backbone.
        last_stride: 1 removes the last down-sampling of a ResNet (the papers' "modified ResNet"),
            2 keeps it.
        rescale: Whether Inceptions turn ImageNet normalisation into the [-1, 1] that their weights
            expect; if not, they expect frames in [-1, 1].

    Returns:
        A `Backbone`, expecting frames normalised by ImageNet's mean and standard deviation.

    Raises:
        ValueError: If the name or the stride is not one of the allowed, or the checkpoint does not
            fit.
        WeightsUnavailable: If the weights can neither be read nor downloaded.
    """
    check_choice("backbone", name, BACKBONES)
    allowed_strides = (2,) if BACKBONES[name].is_inception else (1, 2)
    if last_stride not in allowed_strides:
        raise ValueError(
            f"Received last_stride {last_stride} for {name}, but expected to be one of "
            f"{allowed_strides}"
        )
    spec = BACKBONES[name]
    network = _network(name, pretrained is True)
    if last_stride == 1:
        _remove_last_stride(network)
    if spec.is_inception:
        network.input_scaling = _InceptionInput() if rescale else nn.Identity()
    strides = (4, 8, 16, 16 * last_stride)
    stages = [
        Stage(OrderedDict((child, getattr(network, child)) for child in children), stride)
        for children, stride in zip(spec.stages, (1, *strides), strict=False)
    ]
    backbone = Backbone(stages, spec.channels, strides)
    if isinstance(pretrained, str):
        taken = load_weights(backbone, pretrained, part="backbone.")
        logger.info("Weights of %s: %s.", pretrained, taken)
    return backbone


def load_auxiliary_weights(head: InceptionAux) -> None:
    """Gives an auxiliary head the ImageNet weights of Inception-v3's own.

    Args:
        head: The head; its last layer stays as it is.

    Raises:
        WeightsUnavailable: If the weights can neither be read nor downloaded.
    """
    prefix = "AuxLogits."
    weights = {
        key.removeprefix(prefix): value
        for key, value in _imagenet_weights("inception_v3").items()
        if key.startswith(prefix) and not key.startswith(f"{prefix}fc.")
    }
    last = {key: value for key, value in head.state_dict().items() if key.startswith("fc.")}
    head.load_state_dict({**weights, **last})


def _network(name: str, pretrained: bool) -> nn.Module:
    if BACKBONES[name].is_narrow:
        if pretrained:
            raise WeightsUnavailable(f"There are no ImageNet weights of {name}.")
        return _narrow_resnet18(BACKBONES[name].channels)
    arguments: dict[str, bool] = {}
    if BACKBONES[name].is_inception:
        arguments = {"aux_logits": False, "init_weights": not pretrained}
    network = torchvision.models.get_model(name, weights=None, **arguments)
    if pretrained:
        weights = _imagenet_weights(name)
        wanted = network.state_dict()  # the file also holds auxiliary classifiers
        network.load_state_dict({key: value for key, value in weights.items() if key in wanted})
    return network


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


def _imagenet_weights(name: str) -> dict[str, Tensor]:
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    instead = "train from scratch with `model.pretrained False`"
    return torchvision_weights(weights, f"ImageNet weights of {name}", instead)


def _remove_last_stride(network: nn.Module) -> None:
    """Sets the stride of the first block of a ResNet's last stage to 1."""
    for name in ("conv1", "conv2", "downsample.0"):
        convolution = network.get_submodule(f"layer4.0.{name}")
        assert isinstance(convolution, nn.Conv2d)
        convolution.stride = (1, 1)
