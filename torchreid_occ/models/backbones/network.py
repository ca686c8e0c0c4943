"""What every image network says of itself: how it is built, cut and given weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from torchreid_occ.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from torchreid_occ.models.backbones.weights import Sources

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Network:
    """An image network, cut into four stages.

    Attributes:
        build: Builds it; called with False, it may leave weights undrawn, as others take their
            place.
        stages: Names of its children, by stage.
        channels: Output channels of each stage.
        strides: Down-sampling of each stage's output against the input.
        sources: Where it has published weights; the first that is there is taken.
        renamed: Turns published weights into the network's, None where they have its names; weights
            of other parts are ignored.
        remove_last_stride: Sets the last stage's stride to 1; None where that can't be.
        mean: Mean of each channel that the weights expect.
        std: Standard deviation of each channel that the weights expect.
    """

    build: Callable[[bool], nn.Module]
    stages: tuple[tuple[str, ...], ...]
    channels: tuple[int, ...]
    strides: tuple[int, ...] = (4, 8, 16, 32)
    sources: Sources = field(default_factory=dict)
    renamed: Callable[[Weights], Weights] | None = None
    remove_last_stride: Callable[[nn.Module], None] | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    @property
    def last_strides(self) -> tuple[int, ...]:
        """Allowed strides of the last stage."""
        return (2,) if self.remove_last_stride is None else (1, 2)

    @property
    def scales_input(self) -> bool:
        """Whether its weights expect another normalisation than ImageNet's."""
        return (self.mean, self.std) != (IMAGENET_MEAN, IMAGENET_STD)
