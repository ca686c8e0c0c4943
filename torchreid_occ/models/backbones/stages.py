"""A backbone as a sequence of stages with known channels and strides."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from torchreid_occ.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from torchreid_occ.models.backbones.weights import Origin

PIXELS = 8 * 256 * 128  # of the frames that a stage processes at a time on a CPU


class Stage(nn.Sequential):
    """A part of a backbone.

    On a CPU in eval mode without gradients, it processes few frames at a time, so that their maps
    stay in the cache and memory is reused.

    Args:
        layers: The layers by name.
        stride: Down-sampling of the stage's input against the frames.

    Attributes:
        runner: Computes the stage's map there in place of the layers, from the maps and the number
            of frames to process at a time; None if the layers do.
    """

    runner: Callable[[Tensor, int], Tensor] | None = None

    def __init__(self, layers: OrderedDict[str, nn.Module], stride: int) -> None:
        super().__init__(layers)
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the last layer's map."""
        whole = self.training or torch.is_grad_enabled() or torch.compiler.is_compiling()
        if whole or maps.device.type != "cpu":
            return self._run(maps)
        few = max(1, PIXELS // (maps.shape[2] * maps.shape[3] * self.stride**2))
        if self.runner is not None:
            return self.runner(maps, few)
        return torch.cat([self._run(part) for part in maps.split(few)])

    def _run(self, maps: Tensor) -> Tensor:
        for layer in self:
            maps = layer(maps)
        return maps

    def steps(self) -> list[list[nn.Module]]:
        """Cuts the stage behind each block of its last layer, all of which have the same channels.

        Returns:
            The layers of each part; one part where the last layer is not a sequence of blocks.
        """
        *first, last = self
        blocks = [*last] if isinstance(last, nn.Sequential) else [last]
        return [[*first, blocks[0]], *([block] for block in blocks[1:])]


class Backbone(nn.Module):
    """An image network without its pooling and classifier, as a sequence of stages.

    Args:
        stages: The stages, in order.
        channels: Output channels of each stage.
        strides: Down-sampling of each stage's output against the input.

    Attributes:
        origin: Where the initial weights come from; None if they were drawn.
    """

    def __init__(
        self, stages: Iterable[Stage], channels: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(channels)
        self.strides = tuple(strides)
        self.origin: Origin | None = None

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
                with _WithoutBatchNorm():
                    maps = functional_call(stage, state, (maps,))
            except RuntimeError as error:
                raise ValueError(
                    f"Received frames of {height}x{width}, which are too small for this backbone"
                ) from error
            sizes.append((maps.shape[-2], maps.shape[-1]))
        return sizes


class _WithoutBatchNorm(TorchFunctionMode):
    """Skips batch normalisation, which keeps the shape and is slow on the meta device."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is nn.functional.batch_norm:
            return args[0]
        return func(*args, **(kwargs or {}))


class InputScaling(nn.Module):
    """Turns ImageNet normalisation into the one that a network's weights expect.

    It stands with and without pretrained weights, so that checkpoints of both take the same frames.

    Args:
        mean: Mean of each channel that the network expects.
        std: Standard deviation of each channel.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        own_mean, own_std = torch.tensor(mean), torch.tensor(std)
        scale = torch.tensor(IMAGENET_STD) / own_std
        shift = (torch.tensor(IMAGENET_MEAN) - own_mean) / own_std
        self.register_buffer("scale", scale.view(3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the images in the network's own normalisation."""
        return images * self.scale + self.shift
