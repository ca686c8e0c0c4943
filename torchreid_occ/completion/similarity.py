"""Similarity scoring: how much a third of a frame looks like the same third of the tracklet."""

import torch
from torch.nn import functional as F

from torchreid_occ.completion.thirds import REGIONS


def region_features(maps):
    """Mean feature of each third of a map; a row across a border counts in both with its share.

    Reference: VRSTC, Section 4.1.

    Args:
        maps: Maps of a tracklet's frames.

    Shape:
        maps: `(T, C, H, W)`; result: `(T, 3, C)`.
    """
    height = maps.shape[2]
    edges = torch.arange(len(REGIONS) + 1, device=maps.device) * (height / len(REGIONS))
    rows = torch.arange(height, device=maps.device)
    ends = torch.minimum(edges[1:, None], rows + 1)
    starts = torch.maximum(edges[:-1, None], rows)
    weights = (ends - starts).clamp(min=0) * (len(REGIONS) / height)  # (3, H)
    return torch.einsum("tch,rh->trc", maps.mean(3), weights.to(maps.dtype))


def region_scores(features):
    """Cosine of each region of each frame to the mean of that region over the tracklet.

    Reference: VRSTC, Eq. 11 and 12.

    Args:
        features: Region features of all frames of a tracklet.

    Shape:
        features: `(T, 3, C)`; result: `(T, 3)`.
    """
    return F.cosine_similarity(features, features.mean(0, keepdim=True), dim=2)
