"""Region feature completion block: SRFC and TRFC on shared regions and one foreground map."""

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
    """What a block found and did; None where a variant has no such part."""

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
        allow_empty: Whether the predicted lines may leave regions empty; needs 'apu'.
        foreground: Whether a foreground map weights the region features.
        region_feature: 'paper', 'masked' or 'official', see `RegionBranch`.
        initial_scale: See `RegionBranch`; one number, or one for each letter of the arrangement.
        projection: 'random' or 'paired', see `RegionBranch`.
        position: 'center' or 'official_topleft', see `region_positions`.
        assignment: 'both', 'appearance', 'position' or 'fixed', see `SRFC`.
        scaled_attention: See `TRFC`.
        gate: 'scalar' or 'channel', see `TRFC`.

    Shape:
        maps: `(B * T, C, H, W)`; result: `(B * T, C, H, W)`.

    Raises:
        ValueError: If an option is not one of the allowed, or the map is too small.
    """

    def __init__(
        self,
        channels,
        height,
        width,
        arrangement="S-T",
        partition="apu",
        num_regions=6,
        allow_empty=False,
        foreground=True,
        region_feature="paper",
        initial_scale=0.0,
        projection="random",
        position="center",
        assignment="both",
        scaled_attention=False,
        gate="scalar",
    ):
        super().__init__()
        check_choice("arrangement", arrangement, ARRANGEMENTS)
        check_choice("position", position, POSITIONS)
        self.arrangement = arrangement
        self.position = position
        self.partition = _partition(partition, channels, height, width, num_regions, allow_empty)
        self.foreground = ForegroundHead(channels) if foreground else None
        self.spatial = self.temporal = None
        scales = _scales(initial_scale, arrangement)
        if "S" in arrangement:
            srfc = SRFC(channels // 2, num_regions, assignment)
            self.spatial = RegionBranch(channels, srfc, region_feature, scales["S"], projection)
        if "T" in arrangement:
            trfc = TRFC(channels // 2, scaled_attention, gate)
            self.temporal = RegionBranch(channels, trfc, region_feature, scales["T"], projection)

    def forward(self, maps, num_frames=1):
        """Returns the completed maps of clips of `num_frames` frames each, and `RfcOutput`."""
        regions = self.partition(maps)
        logits = None if self.foreground is None else self.foreground(maps)
        probability = None if logits is None else torch.sigmoid(logits)
        positions = region_positions(regions.boxes, self.position)
        context = {"S": positions, "T": num_frames}
        branches = {"S": self.spatial, "T": self.temporal}
        outputs = {"S": None, "T": None}
        source = completed = maps
        for name in _letters(self.arrangement):
            residual, outputs[name] = branches[name](
                source, regions.masks, probability, context[name]
            )
            completed = completed + residual
            if "+" not in self.arrangement:
                source = completed
        return completed, RfcOutput(regions, logits, outputs["S"], outputs["T"])


def _letters(arrangement):
    return arrangement[::2]  # without what joins them


def _scales(initial_scale, arrangement):
    """The initial scale of each letter of the arrangement."""
    letters = _letters(arrangement)
    scales = (
        initial_scale
        if isinstance(initial_scale, (list, tuple))
        else [initial_scale] * len(letters)
    )
    if len(scales) != len(letters):
        raise ValueError(
            f'Received initial_scale {initial_scale}, but arrangement "{arrangement}" needs one '
            f"number, or {len(letters)}"
        )
    return dict(zip(letters, scales, strict=True))


def _partition(name, channels, height, width, num_regions, allow_empty):
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
