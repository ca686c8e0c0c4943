"""Video datasets: items are tracklets, frames in temporal order."""

from torchreid_occ.data.datasets.video.dukemtmcvidreid import DukeMTMCVidReID
from torchreid_occ.data.datasets.video.ilidsvid import ILIDSVID
from torchreid_occ.data.datasets.video.lsvid import LSVID
from torchreid_occ.data.datasets.video.mars import Mars
from torchreid_occ.data.datasets.video.occluded_dukemtmcvidreid import OccludedDukeMTMCVidReID
from torchreid_occ.data.datasets.video.prid2011 import PRID2011
from torchreid_occ.data.datasets.video.sduvid import SDUVID
from torchreid_occ.data.datasets.video.tracklet_folder import TrackletFolder
from torchreid_occ.data.datasets.video.xmars import XMars

__all__ = [
    "ILIDSVID",
    "LSVID",
    "PRID2011",
    "SDUVID",
    "DukeMTMCVidReID",
    "Mars",
    "OccludedDukeMTMCVidReID",
    "TrackletFolder",
    "XMars",
]
