"""Foreground map alone: occluded units are suppressed and nothing is completed."""

import torch
from torch import Tensor, nn

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

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.foreground = ForegroundHead(channels)

    def forward(self, maps: Tensor, num_frames: int = 1) -> tuple[Tensor, RfcOutput]:
        """Returns the multiplied maps and `RfcOutput`; frames are independent."""
        logits = self.foreground(maps)
        # Paper silent [R28]: row "Foreground" is one product, as its printed cost says.
        return maps * torch.sigmoid(logits), RfcOutput(foreground_logits=logits)
