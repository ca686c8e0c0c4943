"""Similarity scoring: how much a third of a frame resembles the same third of the tracklet."""

import torch
from torch import Tensor
from torch.nn import functional as F

from torchreid_occ.completion.thirds import THIRDS


def third_features(maps: Tensor) -> Tensor:
    """Computes the mean feature of each third of a map; rows across a border count by their area.

    Reference: VRSTC, Section 4.1.

    Args:
        maps: Feature maps of a tracklet's frames.

    Shape:
        maps: `(T, C, H, W)`; result: `(T, 3, C)`.
    """
    height = maps.shape[2]
    edges = torch.arange(len(THIRDS) + 1, device=maps.device) * (height / len(THIRDS))
    rows = torch.arange(height, device=maps.device)
    ends = torch.minimum(edges[1:, None], rows + 1)
    starts = torch.maximum(edges[:-1, None], rows)
    # Paper silent [V10]: a row across a border counts with its share in both thirds.
    weights = (ends - starts).clamp(min=0) * (len(THIRDS) / height)  # (3, H)
    return torch.einsum("tch,rh->trc", maps.mean(3), weights.to(maps.dtype))


def third_scores(features: Tensor) -> Tensor:
    """Computes the cosine of each third of each frame to its mean over the tracklet.

    Reference: VRSTC, Eq. 11 and 12.

    Args:
        features: Features of the thirds of all frames of a tracklet.

    Shape:
        features: `(T, 3, C)`; result: `(T, 3)`.
    """
    return F.cosine_similarity(features, features.mean(0, keepdim=True), dim=2)
