"""Foreground map: the probability that a unit of a feature map shows the person."""

from torch import Tensor, nn

from torchreid_occ.models.layers.initialise import initialise


class ForegroundHead(nn.Module):
    """Predicts the foreground map of each frame.

    Reference: RFCnet, Section 3.2. The logits are kept for a stable loss (Eq. 15); the map is
    their sigmoid.

    Args:
        channels: Channels of the map.

    Shape:
        maps: `(F, C, H, W)`; logits: `(F, 1, H, W)`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)
        self.bn = nn.BatchNorm2d(1)
        self.apply(initialise)

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the logits of the foreground maps."""
        return self.bn(self.conv(maps))
