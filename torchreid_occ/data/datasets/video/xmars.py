"""X-MARS."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from torchreid_occ._registry import register_dataset
from torchreid_occ.data.datasets.base import Counts, ListedTracklet, Statistics
from torchreid_occ.data.datasets.matlab import MatrixName
from torchreid_occ.data.datasets.video.mars import JUNK, Mars


@register_dataset("xmars")
class XMars(Mars):
    """X-MARS: MARS's tracklets in the training and test identities of Market-1501.

    A model trained on Market-1501 may be tested on it: half of MARS's test identities are among
    Market-1501's training identities. Images and name lists are MARS's. The published matrices
    count the frames of all of MARS in the order of person, camera, tracklet and frame. The
    arguments are those of ``mars``.

    Reference:
        Eberle. Pose-Driven Deep Models for Person Re-Identification. Master's thesis, 2018.

    URL: `<https://github.com/andreas-eberle/x-mars>`_, the ``info`` folder. For the images and name
    lists see ``mars``.

    Dataset statistics:
        - identities: 619 (train) + 640 (test).
        - tracklets: 7986 (train) + 2003 (query) + 9619 (the other test tracklets, without junk).
        - cameras: 6.

    Folders below root::

        mars/
            info/
                train_name.txt
                test_name.txt
            bbox_train/
                0001/
                    0001C1T0001F001.jpg
            bbox_test/
            x-mars/
                info/
                    tracks_train_info.mat
                    tracks_test_info.mat
                    query_IDX.mat
    """

    required = (
        "info/train_name.txt",
        "info/test_name.txt",
        "bbox_train",
        "bbox_test",
        "x-mars/info/tracks_train_info.mat",
        "x-mars/info/tracks_test_info.mat",
        "x-mars/info/query_IDX.mat",
    )
    matrices_dir = "x-mars/info"
    matrices: ClassVar[dict[str, MatrixName]] = {
        "train": MatrixName("tracks_train_info.mat", "xmars_tracks_train_info"),
        "test": MatrixName("tracks_test_info.mat", "xmars_track_test_info"),
        "query": MatrixName("query_IDX.mat", "xmars_query_IDX"),
    }
    published = Statistics(
        train=Counts(identities=619, tracklets=7986), query=Counts(identities=632, tracklets=2003)
    )
    published_galleries: ClassVar[dict[str, Counts]] = {
        "all": Counts(identities=641, tracklets=11622),
        "torchreid": Counts(identities=623, tracklets=9619),
    }

    def frame_names(self, part: str) -> list[str]:
        """Returns the file names of all frames of MARS, in X-MARS's order."""
        names = super().frame_names("train")
        self._in_train = {name[:4] for name in names}
        names += super().frame_names("test")
        names.sort()  # names of one length, so that person, camera, tracklet and frame are sorted
        return names

    def folder(self, part: str, pid: int) -> str:
        """Returns the folder in which MARS has a person's frames."""
        return super().folder("train" if f"{pid:04d}" in self._in_train else "test", pid)

    def _tracklets(
        self, part: str, rows: npt.NDArray[np.int64], names: list[str]
    ) -> dict[int, ListedTracklet]:
        people = {"00-1" if pid == JUNK else f"{pid:04d}" for pid in rows[:, 2].tolist()}
        names = [name for name in names if name[:4] in people]
        counted = int(rows[-1, 1])
        if len(names) != counted:
            raise ValueError(
                f"{self.dataset_dir}: the name lists in info have {len(names)} frames of the people"
                f" in {self.matrices[part].path} of X-MARS, which counts {counted}. The name lists "
                "are not MARS's, or not complete."
            )
        return super()._tracklets(part, rows, names)
