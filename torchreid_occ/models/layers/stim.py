"""Spatial-temporal clues integration: two 3D convolutions and a mean over space and time."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class StimState(NamedTuple):
    """What the next part of a sequence needs of those before it.

    reduced: maps of the first block of the last two frames (of one, if there was only one), the
    last of which waits for the one after it, `(B, D, 1..2, H, W)`; total: sum of the features of
    all frames before that, `(B, D)`; num_frames: how many frames were taken in.
    """

    reduced: Tensor
    total: Tensor
    num_frames: int


class STIM(nn.Module):
    """Turns the maps of a sequence into one feature.

    Reference: RRU-STIM, Eq. 6.

    Args:
        channels: Channels of the maps.
        features: Channels of the convolutions and of the result.

    Shape:
        maps: `(B, T, C, H, W)`; result: `(B, features)`.
    """

    def __init__(self, channels, features=256):
        super().__init__()
        self.feature_dim = features
        self.reduce = _block(channels, features, 1, padding=0)
        self.integrate = _block(features, features, 3, padding=(0, 1, 1))

    def forward(self, maps):
        """Returns the feature of whole sequences."""
        return self._integrated(self.reduce(maps.transpose(1, 2))).mean((2, 3, 4))

    def extend(self, state, maps):
        """Takes the next part of a sequence in; in eval mode parts give what the whole gives.

        Args:
            state: What the call on the part before returned; None at the start.
            maps: The next maps, in temporal order.

        Returns:
            The `StimState` after them.
        """
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

    def finish(self, state):
        """The feature of a sequence, once all of it has been taken in."""
        last = self._integrated(state.reduced)[:, :, -1].mean((2, 3))
        return (state.total + last) / state.num_frames

    def _integrated(self, reduced):
        # Time is padded here and not by the convolution: of sequences shorter than its kernel,
        # oneDNN leaves parts of the weights' gradient in bfloat16 as they were in memory.
        return self.integrate(functional.pad(reduced, (0, 0, 0, 0, 1, 1)))


def _block(before, after, kernel, padding):
    return nn.Sequential(
        nn.Conv3d(before, after, kernel, padding=padding, bias=False),
        nn.BatchNorm3d(after),
        nn.ReLU(),
    )
