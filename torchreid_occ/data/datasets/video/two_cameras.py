"""Datasets of two cameras: half of the identities for training, queries from camera 1."""

import warnings
from collections.abc import Iterable
from pathlib import Path

from torchreid_occ.data.datasets.base import (
    ListedTracklet,
    Subsets,
    TrackletDataset,
    frames_in,
    relabel,
)
from torchreid_occ.data.datasets.splits import (
    NUM_SPLITS,
    Identity,
    Split,
    half_splits,
    load_split,
)


class TwoCameraDataset(TrackletDataset):
    """Base of iLIDS-VID, PRID 2011 and SDU-VID: ten half splits, one tracklet a person and camera.

    Reference: Wang et al. Person Re-Identification by Video Ranking. ECCV 2014, section 5.
    """

    num_splits = NUM_SPLITS
    split_file = "splits.json"  # below dataset_dir
    every_identity_is_split = True

    def cameras(self) -> list[dict[Identity, Path]]:
        """Returns for camera 1 and camera 2 the folder of each identity."""
        raise NotImplementedError

    def make_splits(self, identities: list[Identity]) -> list[Split]:
        """Makes the splits of a folder without a split file: random, with a fixed seed."""
        warnings.warn(
            f"{type(self).__name__}: {self.dataset_dir / self.split_file} does not exist; ten "
            f"random half splits of {len(identities)} identities are drawn with seed 0. Results on "
            "them cannot be compared split by split with published ones, only on average.",
            stacklevel=2,
        )
        return half_splits(identities)

    def read(self, split_id: int) -> Subsets:
        """Lists both cameras of the training half; of the test half, camera 1 as queries."""
        cameras = self.cameras()
        identities = sorted(cameras[0].keys() & cameras[1].keys())
        if alone := cameras[0].keys() ^ cameras[1].keys():
            warnings.warn(
                f"{type(self).__name__}: {len(alone)} identities are in one camera only and are "
                "left out: their queries could not be matched.",
                stacklevel=2,
            )
        split = load_split(
            self.dataset_dir / self.split_file,
            split_id,
            identities,
            make=lambda: self.make_splits(identities),
            complete=self.every_identity_is_split,
        )
        pids = {identity: pid for pid, identity in enumerate(identities)}

        def tracklets(half: Iterable[Identity], camid: int) -> list[ListedTracklet]:
            folders = ((cameras[camid][identity], pids[identity]) for identity in sorted(half))
            items = ((frames_in(folder), pid, camid) for folder, pid in folders)
            return [item for item in items if item[0]]

        train = tracklets(split["train"], 0) + tracklets(split["train"], 1)
        return relabel(train), tracklets(split["test"], 0), tracklets(split["test"], 1)
