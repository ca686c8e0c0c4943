"""iLIDS-VID."""

from pathlib import Path

import numpy as np

from torchreid_occ._registry import register_dataset
from torchreid_occ.data.datasets.base import Counts, Statistics, subfolders
from torchreid_occ.data.datasets.matlab import read_matrix
from torchreid_occ.data.datasets.splits import Identity, Split
from torchreid_occ.data.datasets.video.two_cameras import TwoCameraDataset


@register_dataset("ilidsvid")
class ILIDSVID(TwoCameraDataset):
    """iLIDS-VID: an airport arrival hall, heavily occluded.

    Unlike torchreid's reader it keeps the frames in temporal order, and a missing split file is
    replaced by seeded random splits (with a warning).

    Reference:
        Wang et al. Person Re-Identification by Video Ranking. ECCV 2014.

    URL: `<http://www.eecs.qmul.ac.uk/~xiatian/downloads_qmul_iLIDS-VID_ReID_dataset.html>`_

    Dataset statistics:
        - identities: 300, half of them for training.
        - tracklets: 600, of 23 to 192 frames.
        - cameras: 2; the ten splits of the reference.

    Folders below root::

        ilids-vid/
            splits.json                  made from the .mat file on first use
            train-test people splits/
                train_test_splits_ilidsvid.mat
            i-LIDS-VID/
                sequences/
                    cam1/
                        person001/
                            cam1_person001_00317.png
                    cam2/
    """

    dataset_dir = Path("ilids-vid")
    required = ("i-LIDS-VID/sequences/cam1", "i-LIDS-VID/sequences/cam2")
    paper_statistics = Statistics(
        train=Counts(identities=150, tracklets=300),
        query=Counts(identities=150, tracklets=150),
        gallery=Counts(identities=150, tracklets=150),
    )

    def cameras(self) -> list[dict[Identity, Path]]:
        """Returns for each camera the folders by their names (person001)."""
        sequences = self.dataset_dir / "i-LIDS-VID" / "sequences"
        return [{f.name: f for f in subfolders(sequences / camera)} for camera in ("cam1", "cam2")]

    def make_splits(self, identities: list[Identity]) -> list[Split]:
        """Reads the published splits from the .mat file; draws random ones if it is missing."""
        path = self.dataset_dir / "train-test people splits" / "train_test_splits_ilidsvid.mat"
        if not path.exists():
            return super().make_splits(identities)
        rows = np.atleast_2d(read_matrix(path, "ls_set")) - 1
        half = rows.shape[1] // 2
        if rows.shape[1] != len(identities):
            raise ValueError(
                f"{path} splits {rows.shape[1]} identities, but {len(identities)} are in both "
                "cameras: the sequences are not complete."
            )
        if (np.sort(rows) != np.arange(len(identities))).any():
            raise ValueError(f"{path}: a split does not name each of the identities once.")
        # The first half tests, the second trains, as in the reference.
        return [
            {
                "train": [identities[i] for i in sorted(row[half:])],
                "test": [identities[i] for i in sorted(row[:half])],
            }
            for row in rows
        ]
