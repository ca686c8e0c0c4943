"""Occluded copies of any video dataset, with ground truth."""

from torchreid_occ.occlusion.dataset import Occluded, OccludedGroundTruth

__all__ = ["Occluded", "OccludedGroundTruth"]
