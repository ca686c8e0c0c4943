"""Spatial-temporal transformer: aligns the frames of a sequence by scale and shift."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchreid_occ.models.layers.trl import initialise_lstm

SQUEEZED = 512
IDENTITY = (1.0, 1.0, 0.0, 0.0)  # scale in x and y, shift in x and y


class ST2N(nn.Module):
    """Predicts the person's place in each frame from high maps, and samples low maps there.

    Reference: TRL-ST2N, Section III.B, Eq. 1 to 6.

    Args:
        channels: Channels of the high maps.
        hidden: Units of the LSTM in each direction; 0 leaves it out (STN of Table I).
        dropout: Share of its outputs that is dropped in training.
        align_corners: Whether -1 and 1 of the sampling grid are the centers of the corner pixels
            or the corners of the map.

    Shape:
        high: `(B, T, C, h, w)`; low: `(B, T, D, H, W)`; result: as low.
    """

    def __init__(
        self,
        channels: int,
        hidden: int = 256,
        dropout: float = 0.5,
        align_corners: bool = True,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.localise = nn.Sequential(
            *_squeeze(channels),
            nn.MaxPool2d(2, ceil_mode=True),
            *_squeeze(SQUEEZED),
        )
        self.context: nn.LSTM | None = None
        features = SQUEEZED
        # Paper silent [T10]: the STN of Table I is the transformer without its BiLSTM.
        if hidden:
            self.context = nn.LSTM(SQUEEZED, hidden, batch_first=True, bidirectional=True)
            self.context.apply(initialise_lstm)
            features = 2 * hidden
        self.dropout = nn.Dropout(dropout if hidden else 0.0)
        self.theta = nn.Linear(features, len(IDENTITY))
        # Paper silent [T3]: the transformer starts as the identity.
        nn.init.zeros_(self.theta.weight)
        with torch.no_grad():
            self.theta.bias.copy_(torch.tensor(IDENTITY))

    def forward(self, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the aligned low maps and theta, `(B, T, 4)`: scales, then shifts, x before y."""
        features = self.localise(high.flatten(0, 1)).mean((2, 3)).unflatten(0, high.shape[:2])
        if self.context is not None:
            features, _ = self.context(features)
        theta = self.theta(self.dropout(features))
        return self.align(low, theta), theta

    def align(self, maps: Tensor, theta: Tensor) -> Tensor:
        """Samples maps at the places given by theta.

        Args:
            maps: Maps of the frames.
            theta: Scales and shifts of each frame.
        """
        scale_x, scale_y, shift_x, shift_y = theta.flatten(0, 1).unbind(1)
        zero = torch.zeros_like(scale_x)
        # Differs from paper [T2]: Eq. 5 prints the shift in x in both rows.
        rows = torch.stack((scale_x, zero, shift_x, zero, scale_y, shift_y), dim=1)
        frames = maps.flatten(0, 1)
        # Paper silent [T7]: corners are the centres of pixels.
        corners = self.align_corners
        grid = F.affine_grid(rows.view(-1, 2, 3), list(frames.shape), align_corners=corners)
        sampled = F.grid_sample(frames, grid, align_corners=corners)
        return sampled.unflatten(0, maps.shape[:2])


def _squeeze(channels: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, SQUEEZED, 1), nn.BatchNorm2d(SQUEEZED), nn.ReLU()]
