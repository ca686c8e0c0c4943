"""Occluded-DukeMTMC-VideoReID."""

from pathlib import Path

from torchreid_occ._registry import register_dataset
from torchreid_occ.data.datasets.base import Counts, Statistics
from torchreid_occ.data.datasets.video.dukemtmcvidreid import DukeMTMCVidReID


@register_dataset("occluded_dukemtmcvidreid")
class OccludedDukeMTMCVidReID(DukeMTMCVidReID):
    """Occluded-DukeMTMC-VideoReID: every query tracklet is occluded.

    The authors published no loader: this reader assumes the layout of DukeMTMC-VideoReID, from
    which the tracklets were selected. Annotation files (the occluded fraction of each frame) may
    lie anywhere in it.

    Reference:
        Hou et al. Feature Completion for Occluded Person Re-Identification. TPAMI 2021, section 5.

    URL: `<http://vipl.ict.ac.cn/database.php>`_ (DukeMTMC was withdrawn for privacy, so this
    package never downloads it).

    Dataset statistics:
        - identities: 702 (train) + 661 (query); 1110 in the gallery.
        - tracklets: 1702 (train) + 661 (query) + 2636 (gallery).
        - frames: 292343 (train) + 39526 (query) + 281114 (gallery).
        - cameras: 8.

    Folders below root::

        Occluded-DukeMTMC-VideoReID/
            train/
                <pid>/
                    <tracklet>/
                        0001_C6_F0099_X30823.jpg     or 0001C6F0099X30823.jpg
            query/
            gallery/
    """

    dataset_dir = Path("Occluded-DukeMTMC-VideoReID")
    paper_statistics = Statistics(
        train=Counts(identities=702, tracklets=1702, frames=292343),
        query=Counts(identities=661, tracklets=661, frames=39526),
        gallery=Counts(identities=1110, tracklets=2636, frames=281114),
    )
