"""Image datasets: an image is a one-frame tracklet."""

from torchreid_occ.data.datasets.image.msmt17 import MSMT17
from torchreid_occ.data.datasets.image.occluded_dukemtmcreid import OccludedDukeMTMCreID

__all__ = ["MSMT17", "OccludedDukeMTMCreID"]
