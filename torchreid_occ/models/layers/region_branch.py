"""Region branch: pools a map into region features, completes them, and projects them back."""

from typing import Any

import torch
from torch import Tensor, nn

from torchreid_occ.models.layers.initialise import initialise
from torchreid_occ.utils.checks import check_choice

REGION_FEATURES = ("paper", "masked", "official")
PROJECTIONS = ("random", "paired")
EPS = 1e-6  # weight below which a region counts as empty; its feature is then zero


class RegionBranch(nn.Module):
    """Reduces a map, pools its regions, completes their features, projects them back, extends.

    Reference: RFCnet, Eq. 2 (pooling) and Section 3.5, Eq. 12 (projection).

    Args:
        channels: Channels of the map; the regions' features have half as many.
        completion: Module that completes region features (`SRFC` or `TRFC`).
        region_feature: 'paper', the mean over a region weighted by the foreground map (Eq. 2);
            'masked', the plain mean of the region times the foreground map, which is small for
            occluded regions, as Section 3.4 says; or 'official': the released code scales the map
            by 1 + I / sum(I) and takes plain means, so that the foreground has little effect.
        initial_scale: Initial gamma of the last normalisation: 0, as in the released code, makes
            the block an identity; 1 gives its residual the scale of the map.
        projection: Initial weights of the two projections (the paper does not say): 'random', as
            in the released code; or 'paired', which adds pairs of channels and writes the sum to
            both. Then region features are positive, which Section 3.4 assumes where small features
            close the gate, and residuals are means of the map itself, which suits a network that
            was trained without blocks.

    Shape:
        maps: `(F, C, H, W)`; masks: `(F, N, H, W)`; foreground: `(F, 1, H, W)`.

    Raises:
        ValueError: If the region feature or the projection is not one of the allowed.
    """

    def __init__(
        self,
        channels: int,
        completion: nn.Module,
        region_feature: str = "paper",
        initial_scale: float = 0.0,
        projection: str = "random",
    ) -> None:
        super().__init__()
        check_choice("region_feature", region_feature, REGION_FEATURES)
        check_choice("projection", projection, PROJECTIONS)
        self.region_feature = region_feature
        self.reduce = nn.Conv2d(channels, channels // 2, 1)
        self.completion = completion
        expand, norm = nn.Conv2d(channels // 2, channels, 1), nn.BatchNorm2d(channels)
        self.extend = nn.Sequential(expand, norm)
        self.reduce.apply(initialise)
        self.extend.apply(initialise)
        if projection == "paired":
            _pair_channels(self.reduce, expand)
        # Paper silent [R3]: the released code starts at 0.
        nn.init.constant_(norm.weight, initial_scale)

    def forward(
        self, maps: Tensor, masks: Tensor, foreground: Tensor | None, context: Any
    ) -> tuple[Tensor, Any]:
        """Computes the residual.

        Args:
            maps: Frame maps.
            masks: Masks of the regions.
            foreground: Foreground maps, or None for plain means over the regions.
            context: Second argument of the completion (positions, or the number of frames).

        Returns:
            The residual, of the maps' shape, and the completion's own output.
        """
        # Paper silent [R1]: Eq. 2 and the released code differ; Eq. 2 is the default.
        if foreground is not None and self.region_feature == "official":
            maps = maps * (1 + foreground / foreground.sum((2, 3), keepdim=True))
            foreground = None
        pooled = pool_regions(self.reduce(maps), masks, foreground, self.region_feature == "masked")
        completion = self.completion(pooled, context)
        return self.extend(project_regions(completion.completed, masks)), completion


@torch.no_grad()
def _pair_channels(reduce: nn.Conv2d, extend: nn.Conv2d) -> None:
    pairs = torch.eye(reduce.out_channels).repeat_interleave(2, dim=1) * 0.5**0.5  # orthonormal
    reduce.weight.copy_(pairs[..., None, None])
    extend.weight.copy_(pairs.T[..., None, None])
    for convolution in (reduce, extend):
        if convolution.bias is not None:
            convolution.bias.zero_()


def pool_regions(
    maps: Tensor, masks: Tensor, foreground: Tensor | None = None, by_area: bool = False
) -> Tensor:
    """Computes weighted means over regions.

    Reference: RFCnet, Eq. 2.

    Args:
        maps: Frame maps.
        masks: Masks of the regions.
        foreground: Foreground maps; None for plain means.
        by_area: Divide the sums by the regions' areas instead of the weights' sums.

    Shape:
        maps: `(F, D, H, W)`; masks: `(F, N, H, W)`; foreground: `(F, 1, H, W)`;
        result: `(F, N, D)`, zero for an empty region.
    """
    weights = masks if foreground is None else masks * foreground
    total = (masks if by_area else weights).sum((2, 3), keepdim=True)
    weights = weights / total.clamp(min=EPS)
    return torch.bmm(weights.flatten(2).to(maps.dtype), maps.flatten(2).transpose(1, 2))


def project_regions(features: Tensor, masks: Tensor) -> Tensor:
    """Writes each region's feature to all of its units.

    Reference: RFCnet, Section 3.5.

    Args:
        features: Region features.
        masks: Masks of the regions.

    Shape:
        features: `(F, N, D)`; masks: `(F, N, H, W)`; result: `(F, D, H, W)`.
    """
    projected = torch.bmm(features.transpose(1, 2), masks.flatten(2).to(features.dtype))
    return projected.unflatten(2, masks.shape[2:])
