"""PRID 2011."""

from pathlib import Path

from torchreid_occ._registry import register_dataset
from torchreid_occ.data.datasets.base import Counts, Statistics, frames_in, subfolders
from torchreid_occ.data.datasets.splits import Identity, Split
from torchreid_occ.data.datasets.video.two_cameras import TwoCameraDataset

MIN_FRAMES = 28


@register_dataset("prid2011")
class PRID2011(TwoCameraDataset):
    """PRID 2011: two uncrowded outdoor scenes.

    Unlike torchreid's reader it keeps the frames in temporal order, and a missing split file is
    replaced by seeded random splits (with a warning) of the identities with more than 27 frames in
    both cameras. (The RRU-STIM paper says more than 21; where a split file is there, it decides.)

    Reference:
        Hirzer et al. Person Re-Identification by Descriptive and Discriminative Classification.
        SCIA 2011.

    URL: `<https://www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/PRID11/>`_

    Dataset statistics:
        - identities: 200 in both cameras; 178 of them are used, 89 for training.
        - tracklets: 356, of more than 27 frames.
        - cameras: 2; ten random half splits.

    Folders below root::

        prid2011/
            splits_prid2011.json         made on first use where it is missing
            prid_2011/
                multi_shot/
                    cam_a/
                        person_0001/
                            0001.png
                    cam_b/
    """

    dataset_dir = Path("prid2011")
    required = ("prid_2011/multi_shot/cam_a", "prid_2011/multi_shot/cam_b")
    split_file = "splits_prid2011.json"
    every_identity_is_split = False  # 22 of the 200 have too few frames
    paper_statistics = Statistics(
        train=Counts(identities=89, tracklets=178),
        query=Counts(identities=89, tracklets=89),
        gallery=Counts(identities=89, tracklets=89),
    )

    def cameras(self) -> list[dict[Identity, Path]]:
        """Returns for each camera the folders (by name) of the persons that are in both."""
        multi_shot = self.dataset_dir / "prid_2011" / "multi_shot"
        first, second = (
            {folder.name: folder for folder in subfolders(multi_shot / camera)}
            for camera in ("cam_a", "cam_b")
        )
        # Most persons are in one camera only, by design.
        both = first.keys() & second.keys()
        return [{name: folders[name] for name in both} for folders in (first, second)]

    def make_splits(self, identities: list[Identity]) -> list[Split]:
        """Draws random halves of the identities with more than 27 frames in both cameras."""
        cameras = self.cameras()
        return super().make_splits(
            [
                identity
                for identity in identities
                if all(len(frames_in(camera[identity])) >= MIN_FRAMES for camera in cameras)
            ]
        )
