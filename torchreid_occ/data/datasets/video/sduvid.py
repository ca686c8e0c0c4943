"""SDU-VID."""

import re
from pathlib import Path

from torchreid_occ._registry import register_dataset
from torchreid_occ.data.datasets.base import Counts, Statistics, subfolders
from torchreid_occ.data.datasets.splits import Identity
from torchreid_occ.data.datasets.video.two_cameras import TwoCameraDataset


@register_dataset("sduvid")
class SDUVID(TwoCameraDataset):
    """SDU-VID: two outdoor cameras, long sequences, clutter and occlusion.

    Reference:
        Liu et al. A Spatio-Temporal Appearance Representation for Video-Based Pedestrian
        Re-Identification. ICCV 2015.

    URL: `<https://www.cv-foundation.org/openaccess/content_iccv_2015/html/Liu_A_Spatio-Temporal_Appearance_ICCV_2015_paper.html>`_
    (ask the authors for the data).

    Dataset statistics:
        - identities: 300, half of them for training.
        - tracklets: 600, of 16 to 346 frames.
        - cameras: 2; ten random half splits, made on first use and kept in splits.json.

    Folders below root::

        SDU-VID/
            splits.json
            sequences/
                <camera>/                its last character tells the cameras apart: cam1, cam2
                    <person>/            its trailing digits are the identity: person001
                        0001.png         png, jpg or bmp, in natural order
    """

    dataset_dir = Path("SDU-VID")
    required = ("sequences",)
    paper_statistics = Statistics(
        train=Counts(identities=150, tracklets=300),
        query=Counts(identities=150, tracklets=150),
        gallery=Counts(identities=150, tracklets=150),
    )

    def cameras(self) -> list[dict[Identity, Path]]:
        """Returns for each of the two cameras the folder of each person number."""
        sequences = self.dataset_dir / "sequences"
        # Paper silent [D9]: the layout of the published archive.
        cameras = {folder.name[-1]: folder for folder in subfolders(sequences)}
        if len(cameras) != 2:
            raise ValueError(
                f"{sequences} has camera folders that end in {sorted(cameras)}, but expected two "
                "different last characters, as in cam1 and cam2."
            )
        return [self._persons(cameras[camera]) for camera in sorted(cameras)]

    def _persons(self, camera: Path) -> dict[Identity, Path]:
        persons: dict[Identity, Path] = {}
        for folder in subfolders(camera):
            digits = re.search(r"\d+$", folder.name)
            if digits is None:
                raise ValueError(
                    f"{folder} names no person: expected a folder name with the number at its end, "
                    "as in person001."
                )
            number = int(digits.group())
            if number in persons:
                raise ValueError(f"{folder} and {persons[number]} are both person {number}.")
            persons[number] = folder
        return persons
