"""Occluded-DukeMTMC (images)."""

import re
from pathlib import Path

from torchreid_occ._registry import register_dataset
from torchreid_occ._torchreid import torchreid
from torchreid_occ.data.datasets.base import (
    Counts,
    DatasetReader,
    Statistics,
    Subsets,
    frames_in,
    relabel,
)


@register_dataset("occluded_dukemtmcreid", kind="image")
class OccludedDukeMTMCreID(DatasetReader, torchreid.data.ImageDataset):
    """Occluded-DukeMTMC: DukeMTMC-reID selected so that every query is occluded.

    Reference:
        Miao et al. Pose-Guided Feature Alignment for Occluded Person Re-Identification. ICCV 2019.

    URL: `<https://github.com/lightas/Occluded-DukeMTMC-Dataset>`_ (DukeMTMC was withdrawn for
    privacy, so this package never downloads it).

    Dataset statistics:
        - identities: 702 (train) + 519 (query); 1110 in the gallery.
        - images: 15618 (train) + 2210 (query) + 17661 (gallery). The RFCnet paper's Table 3 prints
          15,168 training images; the released list has 15,618.
        - cameras: 8.

    Folders below root::

        Occluded_Duke/
            bounding_box_train/
                0001_c2_f0046182.jpg
            query/
            bounding_box_test/
    """

    dataset_dir = Path("Occluded_Duke")
    required = ("bounding_box_train", "query", "bounding_box_test")
    paper_statistics = Statistics(
        train=Counts(identities=702, frames=15618),
        query=Counts(identities=519, frames=2210),
        gallery=Counts(identities=1110, frames=17661),
    )

    def read(self, split_id: int) -> Subsets:
        """Lists the images of each folder; person and camera are in the names."""
        train, query, gallery = (_images(self.dataset_dir / name) for name in self.required)
        return relabel(train), query, gallery


def _images(folder: Path) -> list[tuple[str, int, int]]:
    items = []
    for path in frames_in(folder):
        match = re.match(r"([-\d]+)_c(\d)", Path(path).name)
        if match is None:
            raise ValueError(
                f"{path} is not named as 0001_c2_f0046182.jpg, so its person and camera are not "
                "known. Rename or remove it."
            )
        pid, camera = map(int, match.groups())
        items.append((path, pid, camera - 1))
    return items
