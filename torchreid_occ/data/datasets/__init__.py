"""Datasets by name; those of a name torchreid has too are corrected readers of the same data."""

from torchreid_occ.data.datasets.base import TrackletDataset
from torchreid_occ.data.datasets.image import OccludedDukeMTMCreID
from torchreid_occ.data.datasets.video import (
    ILIDSVID,
    PRID2011,
    SDUVID,
    Completed,
    DukeMTMCVidReID,
    Mars,
    OccludedDukeMTMCVidReID,
    TrackletFolder,
)
from torchreid_occ.data.occwalk import (
    OccWalkFull,
    OccWalkFullClean,
    OccWalkSmall,
    OccWalkSmallClean,
    OccWalkTiny,
    OccWalkTinyClean,
)

VIDEO_DATASETS = {
    "completed": Completed,
    "dukemtmcvidreid": DukeMTMCVidReID,
    "ilidsvid": ILIDSVID,
    "mars": Mars,
    "occluded_dukemtmcvidreid": OccludedDukeMTMCVidReID,
    "occwalk_full": OccWalkFull,
    "occwalk_full.clean": OccWalkFullClean,
    "occwalk_small": OccWalkSmall,
    "occwalk_small.clean": OccWalkSmallClean,
    "occwalk_tiny": OccWalkTiny,
    "occwalk_tiny.clean": OccWalkTinyClean,
    "prid2011": PRID2011,
    "sduvid": SDUVID,
    "tracklet_folder": TrackletFolder,
}
IMAGE_DATASETS = {"occluded_dukemtmcreid": OccludedDukeMTMCreID}

__all__ = ["IMAGE_DATASETS", "VIDEO_DATASETS", "TrackletDataset"]
