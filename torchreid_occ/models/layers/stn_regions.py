"""Regions regressed without supervision, in place of the adaptive partition unit."""

import torch
from torch import Tensor, nn

from torchreid_occ.models.layers.apu import LineDescriptors
from torchreid_occ.models.layers.partition import (
    FixedPartition,
    Regions,
    region_dtype,
    region_positions,
)

EDGE_SHARPNESS = 4.0  # slope of a mask's edge: it is 0.98 one pixel inside the box


class StnPartition(nn.Module):
    """Boxes regressed from the map, with soft masks through which their gradient flows.

    Reference: RFCnet, Section 6.4 (comparison with STN). The paper gives no architecture: the
    boxes come from the adaptive partition unit's descriptors and start at the fixed partition.

    Args:
        channels: Channels of the map.
        height: Height of the map.
        width: Width of the map.
        num_regions: Number of regions, 3 to 8.

    Shape:
        maps: `(F, C, H, W)`.

    Raises:
        ValueError: If the map is too small, of another size than built for, or there is no such
            number of regions.
    """

    def __init__(self, channels: int, height: int, width: int, num_regions: int = 6) -> None:
        super().__init__()
        self.descriptors = LineDescriptors(channels, height, width)
        features = self.descriptors.row_features + self.descriptors.column_features
        # Paper silent [R30]: the STN is six soft boxes from the APU's features.
        self.box_head = nn.Linear(features, 4 * num_regions)
        nn.init.zeros_(self.box_head.weight)
        fixed = FixedPartition(num_regions)(torch.empty(1, 1, 20, 20)).boxes
        with torch.no_grad():  # the limit keeps gradients through the sigmoid at full width
            self.box_head.bias.copy_(region_positions(fixed, "center").logit(1e-3).flatten())

    def forward(self, maps: Tensor) -> Regions:
        """Returns the `Regions` of the maps; the masks are soft and may overlap."""
        boxes = torch.sigmoid(self.box_head(torch.cat(self.descriptors(maps), dim=1)))
        boxes = boxes.to(region_dtype(maps)).unflatten(1, (-1, 4))
        center, size = boxes.split(2, dim=2)
        top, left = (center - size / 2).unbind(2)
        height, width = size.unbind(2)
        rows = _soft_interval(top, height, maps.shape[-2])
        columns = _soft_interval(left, width, maps.shape[-1])
        masks = rows[..., :, None] * columns[..., None, :]
        return Regions(masks, torch.stack((top, left, height, width), dim=2))


def _soft_interval(start: Tensor, length: Tensor, num_pixels: int) -> Tensor:
    """A soft indicator, from 0 to 1, of the pixel centers inside an interval."""
    centers = torch.arange(num_pixels, device=start.device) + 0.5
    start, length = start[..., None] * num_pixels, length[..., None] * num_pixels
    after_start = torch.sigmoid(EDGE_SHARPNESS * (centers - start))
    before_end = torch.sigmoid(EDGE_SHARPNESS * (start + length - centers))
    return after_start * before_end
