"""MARS."""

import warnings
from pathlib import Path
from typing import Any

from torchreid_occ._registry import register_dataset
from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import (
    Counts,
    ListedTracklet,
    Statistics,
    Subsets,
    TrackletDataset,
    natural_key,
    relabel,
)
from torchreid_occ.data.datasets.matlab import read_matrix
from torchreid_occ.utils.checks import check_choice

JUNK = -1
DISTRACTORS = 0
# Paper silent [D3]: the video papers search query and gallery tracklets.
GALLERIES = {
    "all": Counts(identities=636, tracklets=11310),
    "torchreid": Counts(identities=622, tracklets=9330),
}


@register_dataset("mars")
class Mars(TrackletDataset):
    """MARS: six campus cameras, tracklets from a detector and a tracker.

    The test tracklets are one list in which ``query_IDX`` marks the queries. MARS's own evaluation
    and the video papers search all of it (a query never finds itself: items of its identity and
    camera are ignored); torchreid removes the queries from the gallery, which leaves 140 of them
    without a match. Numbers of the two protocols cannot be compared.

    Reference:
        Zheng et al. MARS: A Video Benchmark for Large-Scale Person Re-Identification. ECCV 2016.

    URL: `<http://www.liangzheng.com.cn/Project/project_mars.html>`_, the ``info`` folder:
    `<https://github.com/liangzheng06/MARS-evaluation>`_

    Dataset statistics:
        - identities: 625 (train) + 636 (test), with one of the latter standing for all distractors.
        - tracklets: 8298 (train) + 1980 (query) + 9330 (the other test tracklets).
        - cameras: 6.

    Folders below root::

        mars/
            info/
                train_name.txt
                test_name.txt
                tracks_train_info.mat
                tracks_test_info.mat
                query_IDX.mat
            bbox_train/
                0001/
                    0001C1T0001F001.jpg
            bbox_test/

    Args:
        root: Folder that holds the datasets.
        split_id: Ignored: there is one split.
        gallery: ``'all'`` for the video papers' gallery (queries included), ``'torchreid'`` for
            torchreid's.
        **kwargs: torchreid's.
    """

    dataset_dir = Path("mars")
    required = (
        "info/train_name.txt",
        "info/test_name.txt",
        "info/tracks_train_info.mat",
        "info/tracks_test_info.mat",
        "info/query_IDX.mat",
        "bbox_train",
        "bbox_test",
    )
    _junk_pids = (DISTRACTORS,)  # many people, so no identity to train on

    def __init__(
        self, root: StrPath = "", split_id: int = 0, gallery: str = "all", **kwargs: Any
    ) -> None:
        check_choice("gallery", gallery, GALLERIES)
        self.queries_in_gallery = gallery == "all"
        self.paper_statistics = Statistics(
            train=Counts(identities=625, tracklets=8298),
            query=Counts(identities=626, tracklets=1980),
            gallery=GALLERIES[gallery],
        )
        super().__init__(root, split_id, **kwargs)

    def read(self, split_id: int) -> Subsets:
        """Lists the tracklets of the .mat files; ``query_IDX`` counts from 1."""
        train = self._tracklets("train")
        test = self._tracklets("test")
        info = self.dataset_dir / "info"
        queries = (read_matrix(info / "query_IDX.mat", "query_IDX").ravel() - 1).tolist()
        if not set(queries) <= test.keys():
            raise ValueError(
                f"{self.dataset_dir}/info/query_IDX.mat marks tracklets that "
                "tracks_test_info.mat does not have."
            )
        gallery = test.keys() if self.queries_in_gallery else sorted(test.keys() - set(queries))
        return relabel(train.values()), [test[i] for i in queries], [test[i] for i in gallery]

    def _tracklets(self, part: str) -> dict[int, ListedTracklet]:
        """Returns the tracklets by row, without junk and without empty ones."""
        source = f"tracks_{part}_info.mat"
        rows = read_matrix(self.dataset_dir / "info" / source, f"track_{part}_info")
        names = (self.dataset_dir / "info" / f"{part}_name.txt").read_text().split()
        tracklets = {}
        for row, (start, end, pid, camera) in enumerate(rows.tolist()):
            if pid == JUNK:
                continue
            where = f"{self.dataset_dir}/info/{source}, row {row + 1}"
            frames = names[start - 1 : end]
            if not frames:
                warnings.warn(f"{where} has no frames and is skipped.", stacklevel=2)
                continue
            if {name[:6] for name in frames} != {f"{pid:04d}C{camera}"} or end > len(names):
                raise ValueError(
                    f"{where}: frames {start} to {end} of {part}_name.txt should be of person "
                    f"{pid} in camera {camera}, but are {frames[0]} to {frames[-1]}. The files in "
                    "info do not belong together."
                )
            folder = f"{self.dataset_dir}/bbox_{part}/{pid:04d}"
            paths = tuple(f"{folder}/{name}" for name in sorted(frames, key=natural_key))
            tracklets[row] = (paths, pid, camera - 1)
        return tracklets
