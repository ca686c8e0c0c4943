"""Image datasets: an image is a one-frame tracklet."""

from torchreid_occ.data.datasets.image.occluded_dukemtmcreid import OccludedDukeMTMCreID

__all__ = ["OccludedDukeMTMCreID"]
