"""Foreground map alone: occluded units are dropped and nothing is completed."""

import torch
from torch import nn

from torchreid_occ.models.layers.foreground import ForegroundHead
from torchreid_occ.models.layers.rfc import RfcOutput


class ForegroundMask(nn.Module):
    """Multiplies a feature map by its foreground map, in place of an RFC block.

    Reference: RFCnet, Section 6.4, rows "Foreground" of Tables 8 and 9.

    Args:
        channels: Channels of the map.

    Shape:
        maps: `(F, C, H, W)`; result: `(F, C, H, W)`.
    """

    def __init__(self, channels):
        super().__init__()
        self.foreground = ForegroundHead(channels)

    def forward(self, maps, num_frames=1):
        """Returns the multiplied maps and `RfcOutput`; frames do not act on each other."""
        logits = self.foreground(maps)
        return maps * torch.sigmoid(logits), RfcOutput(foreground_logits=logits)
