"""Spatial region feature completion: regions exchange features through a few clusters."""

from typing import NamedTuple

from torch import Tensor, nn

from torchreid_occ.models.layers.initialise import initialise
from torchreid_occ.models.layers.partition import region_layout
from torchreid_occ.utils.checks import check_choice

NUM_CLUSTERS = 3
ASSIGNMENTS = ("both", "appearance", "position", "fixed")


class SrfcOutput(NamedTuple):
    """Output of SRFC for the N region features of each of F frames.

    initial, completed: `(F, N, D)`; positions: `(F, N, 4)`; appearance, position: `(F, N, K)`
    assignments (Eq. 3 and 5), None where a variant has none; assignment: `(F, N, K)`, the S
    of Eq. 8.
    """

    initial: Tensor
    completed: Tensor
    positions: Tensor
    appearance: Tensor | None
    position: Tensor | None
    assignment: Tensor


class SRFC(nn.Module):
    """Region encoder and decoder over three clusters.

    Reference: RFCnet, Section 3.3, Eq. 3, 5, 8 and 9.

    Args:
        channels: Channels of the region features.
        num_regions: Number of regions.
        assignment: How regions are assigned to clusters: 'both' (S is the mean of the two),
            'appearance' (SRFC-A), 'position' (SRFC-P), or 'fixed' to head, upper body and lower
            body (Keypoint-Select).

    Shape:
        features: `(F, N, D)`; positions: `(F, N, 4)`.

    Raises:
        ValueError: If the assignment is not one of the allowed.
    """

    fixed_assignment: Tensor

    def __init__(self, channels: int, num_regions: int = 6, assignment: str = "both") -> None:
        super().__init__()
        check_choice("assignment", assignment, ASSIGNMENTS)
        self.appearance: nn.Linear | None = None
        self.position: nn.Sequential | None = None
        if assignment in ("both", "appearance"):
            self.appearance = nn.Linear(channels, NUM_CLUSTERS)
        if assignment in ("both", "position"):
            self.position = nn.Sequential(
                # Paper silent [R26]: the hidden layer of Eq. 5 is as released.
                *_linear_bn_relu(4, channels),
                nn.Linear(channels, NUM_CLUSTERS),
            )
        if assignment == "fixed":
            first_band = region_layout(num_regions)[:, 0].clamp(max=NUM_CLUSTERS - 1)
            one_hot = nn.functional.one_hot(first_band, NUM_CLUSTERS).float()
            self.register_buffer("fixed_assignment", one_hot, persistent=False)
        self.encode = _linear_bn_relu(channels, channels)
        self.decode = _linear_bn_relu(channels, channels)
        self.apply(initialise)

    def forward(self, features: Tensor, positions: Tensor) -> SrfcOutput:
        """Completes the features; see `SrfcOutput`."""
        appearance = position = None
        if self.appearance is not None:
            appearance = self.appearance(features).softmax(2)
        if self.position is not None:
            logits = _per_region(self.position, positions.to(features.dtype))
            position = logits.softmax(2)
        assignment = self._combine(appearance, position, features)
        encoding = assignment / assignment.sum(1, keepdim=True).clamp(min=1e-12)
        clusters = _per_region(self.encode, encoding.transpose(1, 2) @ features)
        completed = features + _per_region(self.decode, assignment @ clusters)
        return SrfcOutput(features, completed, positions, appearance, position, assignment)

    def _combine(
        self, appearance: Tensor | None, position: Tensor | None, features: Tensor
    ) -> Tensor:
        if appearance is not None and position is not None:
            # Paper silent [R25]: the released softmax of both, renormalised, is their mean.
            return (appearance + position) / 2
        if appearance is not None:
            return appearance
        if position is not None:
            return position
        # Paper silent [R29]: Keypoint-Select's clusters are head, upper and lower body.
        return self.fixed_assignment.to(features.dtype).expand(features.shape[0], -1, -1)


def _linear_bn_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_channels, out_channels), nn.BatchNorm1d(out_channels), nn.ReLU()
    )


def _per_region(layer: nn.Module, features: Tensor) -> Tensor:
    """Applies a layer for `(rows, D)` to `(F, N, D)`, so that it normalises over all regions."""
    return layer(features.flatten(0, 1)).unflatten(0, features.shape[:2])
