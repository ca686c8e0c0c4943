"""Spatial-temporal clues integration: two 3D convolutions and a mean over space and time."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchreid_occ.models.layers.integration import Integration


class StimState(NamedTuple):
    """State of `STIM` between two parts of a sequence.

    reduced: the first block's maps of the last two frames (of one, if there was only one),
    `(B, D, 1..2, H, W)`; the last frame's feature is not yet in the total, as it depends on the
    next frame. total: sum of the features of all frames before the last, `(B, D)`; num_frames:
    number of frames so far.
    """

    reduced: Tensor
    total: Tensor
    num_frames: int


class STIM(Integration):
    """Turns the maps of a sequence into one feature.

    Reference: RRU-STIM, Eq. 6.

    Args:
        channels: Channels of the maps.
        features: Channels of the convolutions, and length of the feature.
    """

    def __init__(self, channels: int, features: int = 256) -> None:
        super().__init__(features)
        self.reduce = _block(channels, features, 1, padding=0)
        self.integrate = _block(features, features, 3, padding=(0, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the feature of whole sequences."""
        return self._integrated(self.reduce(maps.transpose(1, 2))).mean((2, 3, 4))

    def extend(self, state: StimState | None, maps: Tensor) -> StimState:
        """Reads the next part of a sequence, see `Integration.extend`."""
        joined = self.reduce(maps.transpose(1, 2))
        waiting, total, num_frames = 0, joined.new_zeros(joined.shape[:2]), maps.shape[1]
        if state is not None:
            waiting, total = state.reduced.shape[2] - 1, state.total
            num_frames += state.num_frames
            joined = torch.cat((state.reduced, joined), dim=2)
        last = joined.shape[2] - 1
        if last > waiting:
            total = total + self._integrated(joined)[:, :, waiting:last].mean((3, 4)).sum(2)
        return StimState(joined[:, :, -2:], total, num_frames)

    def finish(self, state: StimState) -> Tensor:
        """Returns the feature of a sequence after its last part."""
        last = self._integrated(state.reduced)[:, :, -1].mean((2, 3))
        return (state.total + last) / state.num_frames

    def _integrated(self, reduced: Tensor) -> Tensor:
        # Time is padded here and not by the convolution: for sequences shorter than its kernel,
        # oneDNN leaves parts of the weights' gradient in bfloat16 uninitialised.
        return self.integrate(functional.pad(reduced, (0, 0, 0, 0, 1, 1)))


def _block(
    before: int, after: int, kernel: int, padding: int | tuple[int, int, int]
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(before, after, kernel, padding=padding, bias=False),
        nn.BatchNorm3d(after),
        nn.ReLU(),
    )
