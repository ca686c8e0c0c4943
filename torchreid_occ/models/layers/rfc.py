"""Region feature completion block: SRFC and TRFC on shared regions and one foreground map."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from torchreid_occ.models.layers.apu import AdaptivePartition
from torchreid_occ.models.layers.foreground import ForegroundHead
from torchreid_occ.models.layers.partition import (
    POSITIONS,
    FixedPartition,
    Regions,
    region_positions,
)
from torchreid_occ.models.layers.region_branch import RegionBranch
from torchreid_occ.models.layers.srfc import SRFC, SrfcOutput
from torchreid_occ.models.layers.stn_regions import StnPartition
from torchreid_occ.models.layers.trfc import TRFC, TrfcOutput
from torchreid_occ.utils.checks import check_choice

ARRANGEMENTS = ("S", "T", "S-T", "T-S", "S+T")
PARTITIONS = ("apu", "fixed", "stn")


class RfcOutput(NamedTuple):
    """Outputs of a block's parts; None where a variant has no such part."""

    regions: Regions | None = None
    foreground_logits: Tensor | None = None
    spatial: SrfcOutput | None = None
    temporal: TrfcOutput | None = None


class RFC(nn.Module):
    """Region feature completion block for any stage of a network.

    Reference: RFCnet, Section 3; arrangements in Section 6.4.

    Args:
        channels: Channels of the map.
        height: Height of the map.
        width: Width of the map.
        arrangement: 'S' or 'T' for one module alone; 'S-T' or 'T-S' for one after the other, the
            second on the map the first has completed; 'S+T' for the sum of both residuals.
        partition: 'apu' (predicted lines), 'fixed' (the same for all) or 'stn' (soft boxes).
        num_regions: Number of regions, 3 to 8.
        allow_empty: Whether the predicted lines of 'apu' may leave regions empty (Fig. 9).
        foreground: Whether a foreground map weights the region features.
        region_feature: 'paper' (Eq. 2), 'masked' (Section 3.4) or 'official' (released code), see
            `RegionBranch`.
        initial_scale: Initial gamma of a module's last BatchNorm; 0 makes the block an identity.
            One number, or one for each letter of the arrangement.
        projection: 'random' (released code) or 'paired', see `RegionBranch`.
        position: 'center' (paper) or 'official_topleft' (released code), see `region_positions`.
        assignment: 'both', 'appearance' (SRFC-A), 'position' (SRFC-P) or 'fixed'
            (Keypoint-Select), see `SRFC`.
        scaled_attention: Whether `TRFC` divides similarities by the square root of the channels.
        gate: 'scalar' or 'channel' weights in `TRFC`.

    Shape:
        maps: `(B * T, C, H, W)`; result: `(B * T, C, H, W)`.

    Raises:
        ValueError: If an option is not one of the allowed, or the map is too small.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        arrangement: str = "S-T",
        partition: str = "apu",
        num_regions: int = 6,
        allow_empty: bool = False,
        foreground: bool = True,
        region_feature: str = "paper",
        initial_scale: float | Sequence[float] = 0.0,
        projection: str = "random",
        position: str = "center",
        assignment: str = "both",
        scaled_attention: bool = False,
        gate: str = "scalar",
    ) -> None:
        super().__init__()
        check_choice("arrangement", arrangement, ARRANGEMENTS)
        check_choice("position", position, POSITIONS)
        self.arrangement = arrangement
        self.position = position
        self.partition = _partition(partition, channels, height, width, num_regions, allow_empty)
        self.foreground = ForegroundHead(channels) if foreground else None
        self.spatial: RegionBranch | None = None
        self.temporal: RegionBranch | None = None
        scales = _scales(initial_scale, arrangement)
        # Paper silent [R2]: a pair of projections for each module fits the printed parameters.
        if "S" in arrangement:
            srfc = SRFC(channels // 2, num_regions, assignment)
            self.spatial = RegionBranch(channels, srfc, region_feature, scales["S"], projection)
        if "T" in arrangement:
            trfc = TRFC(channels // 2, scaled_attention, gate)
            self.temporal = RegionBranch(channels, trfc, region_feature, scales["T"], projection)

    def forward(self, maps: Tensor, num_frames: int = 1) -> tuple[Tensor, RfcOutput]:
        """Returns the completed maps of clips of `num_frames` frames each, and `RfcOutput`."""
        regions = self.partition(maps)
        logits = None if self.foreground is None else self.foreground(maps)
        probability = None if logits is None else torch.sigmoid(logits)
        positions = region_positions(regions.boxes, self.position)
        spatial = temporal = None
        source = completed = maps
        for letter in _letters(self.arrangement):
            if letter == "S" and self.spatial is not None:
                residual, spatial = self.spatial(source, regions.masks, probability, positions)
            elif self.temporal is not None:
                residual, temporal = self.temporal(source, regions.masks, probability, num_frames)
            completed = completed + residual
            # Paper silent [R14]: S+T sums the residuals of both modules on one map.
            if "+" not in self.arrangement:
                source = completed
        return completed, RfcOutput(regions, logits, spatial, temporal)


def _letters(arrangement: str) -> str:
    return arrangement[::2]  # without '-' and '+'


def _scales(initial_scale: float | Sequence[float], arrangement: str) -> dict[str, float]:
    """The initial scale of each letter of the arrangement."""
    letters = _letters(arrangement)
    scales = (
        [initial_scale] * len(letters) if isinstance(initial_scale, (int, float)) else initial_scale
    )
    if len(scales) != len(letters):
        raise ValueError(
            f'Received initial_scale {initial_scale}, but arrangement "{arrangement}" needs one '
            f"number, or {len(letters)}"
        )
    return dict(zip(letters, scales, strict=True))


def _partition(
    name: str, channels: int, height: int, width: int, num_regions: int, allow_empty: bool
) -> AdaptivePartition | StnPartition | FixedPartition:
    check_choice("partition", name, PARTITIONS)
    if allow_empty and name != "apu":
        raise ValueError(
            f'Received allow_empty with partition "{name}", but only the lines of "apu" can leave '
            "regions empty"
        )
    if name == "apu":
        return AdaptivePartition(channels, height, width, num_regions, allow_empty)
    if name == "stn":
        return StnPartition(channels, height, width, num_regions)
    return FixedPartition(num_regions)
