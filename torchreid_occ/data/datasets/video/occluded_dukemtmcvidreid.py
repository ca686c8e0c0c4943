"""Occluded-DukeMTMC-VideoReID."""

from pathlib import Path
from typing import Any

from torchreid_occ._registry import register_dataset
from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import Counts, Statistics
from torchreid_occ.data.datasets.video.dukemtmcvidreid import DukeMTMCVidReID
from torchreid_occ.data.occlusion_labels import (
    LabelledOcclusion,
    check_labelled,
    read_occlusion_labels,
)


@register_dataset("occluded_dukemtmcvidreid")
class OccludedDukeMTMCVidReID(DukeMTMCVidReID):
    """Occluded-DukeMTMC-VideoReID: every query tracklet is occluded.

    The authors published no loader: this reader assumes the layout of DukeMTMC-VideoReID, from
    which the tracklets were selected. Annotation files may lie anywhere in it. The form of the
    annotation of occlusion is not published either: it is read as CSV with the columns
    ``frame,label`` or as JSON, ``{"frame": label}``. A frame is a file name; labels are 0 (no
    occlusion), 1 (up to a tenth), ... 10.

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

    Args:
        root: Folder that holds the datasets.
        split_id: Not used: there is one split.
        occlusion: The annotation file; it labels at least all query frames. Empty for none.
        **kwargs: torchreid's.
    """

    dataset_dir = Path("Occluded-DukeMTMC-VideoReID")
    paper_statistics = Statistics(
        train=Counts(identities=702, tracklets=1702, frames=292343),
        query=Counts(identities=661, tracklets=661, frames=39526),
        gallery=Counts(identities=1110, tracklets=2636, frames=281114),
    )

    def __init__(
        self, root: StrPath = "", split_id: int = 0, occlusion: StrPath = "", **kwargs: Any
    ) -> None:
        super().__init__(root, split_id, **kwargs)
        # Paper silent [D12]: the form of the annotation files is not published.
        self._labels = read_occlusion_labels(occlusion) if occlusion else {}
        if occlusion:
            check_labelled(occlusion, self._labels, (p for paths, *_ in self.query for p in paths))

    def ground_truth(self) -> LabelledOcclusion | None:
        """Returns the ground truth of occlusion, None without an annotation file."""
        if not self._labels:
            return None
        return LabelledOcclusion(self._labels, [paths for paths, *_ in self.query])
