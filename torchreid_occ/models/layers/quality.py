"""Frame quality: the weight of each frame in the clip's feature."""

import torch
from torch import Tensor, nn


class FrameQuality(nn.Linear):
    """A sigmoid of each frame's mean map, normalised by the sum over the clip.

    Reference: Liu, Yan, Ouyang, "Quality Aware Network for Set to Set Recognition", CVPR 2017.

    Args:
        channels: Channels of the maps.

    Shape:
        maps: `(B * T, C, H, W)`; weights: `(B, T, 1)`, which sum to 1 over T.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 1)
        nn.init.zeros_(self.weight)  # all frames have the same weight at first
        nn.init.zeros_(self.bias)

    def forward(self, maps: Tensor, num_frames: int = 1) -> Tensor:
        """Returns the weights of the frames in clips of `num_frames` frames each."""
        quality = torch.sigmoid(super().forward(maps.mean((2, 3)))).unflatten(0, (-1, num_frames))
        return quality / quality.sum(1, keepdim=True)
