"""Triplet loss on the hardest positive and negative of a batch."""

import warnings

import torch
from torch import Tensor, nn

from torchreid_occ.utils.checks import check_choice

# Paper silent [R16]: cosine and its margin are the released code's.
MARGINS = {"cosine": 0.5, "euclidean": 0.3}


class BatchHardTriplet(nn.Module):
    r"""Pulls each sample's farthest positive closer than its nearest negative, by a margin.

    .. math::

        L = \frac{1}{B} \sum_{i=1}^B \max\Big(0,
        \max_{p:\, y_p = y_i} d_{ip} - \min_{n:\, y_n \ne y_i} d_{in} + \text{margin}\Big)

    Reference: Hermans et al., In Defense of the Triplet Loss for Person Re-Identification,
    arXiv:1703.07737. The distance is the negative cosine similarity or the Euclidean distance.

    Args:
        distance: 'cosine' or 'euclidean'.
        margin: The margin; None takes 0.5 for cosine and 0.3 for Euclidean distances.

    Shape:
        features: `(B, D)`; pids: `(B,)`. With one identity in the batch there are no negatives:
        the loss is zero, and a warning is given once.

    Raises:
        ValueError: If the distance is not one of the allowed.
    """

    def __init__(self, distance: str = "cosine", margin: float | None = None) -> None:
        super().__init__()
        check_choice("distance", distance, MARGINS)
        self.distance = distance
        self.margin = MARGINS[distance] if margin is None else margin
        self.has_warned = False

    def forward(self, features: Tensor, pids: Tensor) -> Tensor:
        """Computes the loss."""
        same = pids[:, None] == pids[None, :]
        if same.all():
            if not self.has_warned:
                warnings.warn(
                    "A batch holds one identity only, so its triplet term is zero: sample at least "
                    "two identities per batch (`sampler.num_instances` below the batch size)",
                    stacklevel=2,
                )
                self.has_warned = True
            # Paper silent [R17]: a batch with one identity has no negatives.
            return (0 * features).sum()
        distances = self._distances(features)
        positive = distances.masked_fill(~same, float("-inf")).amax(1)
        negative = distances.masked_fill(same, float("inf")).amin(1)
        return torch.relu(positive - negative + self.margin).mean()

    def _distances(self, features: Tensor) -> Tensor:
        if self.distance == "cosine":
            features = nn.functional.normalize(features, dim=1)
            return -(features @ features.T)
        squares = features.square().sum(1)
        squared = squares[:, None] + squares[None, :] - 2 * features @ features.T
        return squared.clamp(min=1e-12).sqrt()
