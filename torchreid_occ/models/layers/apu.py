"""Adaptive partition unit: four predicted lines cut each frame's map into body regions."""

import torch
from torch import Tensor, nn

from torchreid_occ.models.layers.initialise import initialise
from torchreid_occ.models.layers.partition import (
    Regions,
    check_map_size,
    cut_regions,
    region_dtype,
    region_layout,
)

SQUEEZE = 32  # the locator works on 1/32 of the channels


class LineDescriptors(nn.Module):
    """Row and column descriptors of a map, flattened line by line.

    Reference: RFCnet, Section 3.1 and Fig. 3 (b).

    Args:
        channels: Channels of the map.
        height: Height of the map.
        width: Width of the map.

    Shape:
        maps: `(F, C, H, W)`; rows: `(F, H * C / 32)`; columns: `(F, W * C / 32)`.

    Raises:
        ValueError: If the map has fewer than 4 rows or 2 columns, or, when called, another size
            than it was built for.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        check_map_size(height, width)
        self.size = (height, width)
        squeezed = channels // SQUEEZE
        self.row_features, self.column_features = squeezed * height, squeezed * width
        self.conv = nn.Conv2d(channels, squeezed, 1)
        self.bn = nn.BatchNorm2d(squeezed)
        self.apply(initialise)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the row and the column descriptors."""
        if maps.shape[-2:] != self.size:
            raise ValueError(
                f"Received a feature map of {maps.shape[-2]}x{maps.shape[-1]}, but the partition "
                f"was built for {self.size[0]}x{self.size[1]}"
            )
        squeezed = torch.relu(self.bn(self.conv(maps)))
        rows = squeezed.mean(3).transpose(1, 2).flatten(1)
        columns = squeezed.mean(2).transpose(1, 2).flatten(1)
        return rows, columns


class AdaptivePartition(nn.Module):
    """Predicts shoulder, hip and knee rows and the column between the legs, and cuts there.

    Reference: RFCnet, Section 3.1, Eq. 1. The chosen lines carry no gradient: the locator learns
    from the key point loss (Eq. 14) alone.

    Args:
        channels: Channels of the map.
        height: Height of the map.
        width: Width of the map.
        num_regions: Number of regions, 3 to 8; all layouts are cut at the same four lines.
        allow_empty: Whether lines may coincide or lie at the border, which leaves regions empty
            (Fig. 9: every line has as many classes as the map has rows or columns). Otherwise
            each region keeps at least one row and column, as in the released code.

    Shape:
        maps: `(F, C, H, W)`.

    Raises:
        ValueError: If the map is too small, of another size than built for, or there is no such
            number of regions.
    """

    layout: Tensor

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        num_regions: int = 6,
        allow_empty: bool = False,
    ) -> None:
        super().__init__()
        self.descriptors = LineDescriptors(channels, height, width)
        self.register_buffer("layout", region_layout(num_regions), persistent=False)
        # Differs from paper [R8]: p_i has H or W classes there; the released code leaves out the
        # classes that would empty a region, and its numbers were obtained so.
        self.row_classes = [height] * 3 if allow_empty else [height - 3, height - 2, height - 1]
        column_classes = width if allow_empty else width - 1
        self.min_rows = 0 if allow_empty else 1
        self.row_head = nn.Linear(self.descriptors.row_features, sum(self.row_classes))
        self.column_head = nn.Linear(self.descriptors.column_features, column_classes)
        self.apply(initialise)

    def forward(self, maps: Tensor) -> Regions:
        """Returns the `Regions` of the maps, with the logits of the four lines."""
        rows, columns = self.descriptors(maps)
        logits = (*self.row_head(rows).split(self.row_classes, dim=1), self.column_head(columns))
        # Paper silent [R9]: arg max has no gradient, so the locator learns from Lk alone.
        shoulder, hip, knee, column = (line.argmax(1) for line in logits)
        hip = torch.maximum(hip, shoulder + self.min_rows)
        knee = torch.maximum(knee, hip + self.min_rows)
        # Row a belongs to the part above the line, so a + 1 rows lie above it.
        regions = cut_regions(
            torch.stack((shoulder, hip, knee), dim=1) + 1,
            column[:, None] + 1,
            self.layout,
            (maps.shape[-2], maps.shape[-1]),
            region_dtype(maps),
        )
        return regions._replace(keypoint_logits=logits)
