"""MARS."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from torchreid_occ._registry import register_dataset
from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import (
    Counts,
    ListedTracklet,
    Statistics,
    Subsets,
    TrackletDataset,
    natural_order,
    relabel,
)
from torchreid_occ.data.datasets.matlab import MatrixName, read_matrices
from torchreid_occ.utils.checks import check_choice

JUNK = -1
DISTRACTORS = 0
# Paper silent [D3]: the video papers search query and gallery tracklets.
GALLERIES = ("all", "torchreid")


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
        - identities: 625 (train) + 634 (test); the published 636 count distractors and junk as one
          each.
        - tracklets: 8298 (train) + 1980 (query) + 9330 (the other test tracklets, without junk).
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
    matrices_dir = "info"
    matrices: ClassVar[dict[str, MatrixName]] = {
        "train": MatrixName("tracks_train_info.mat", "track_train_info"),
        "test": MatrixName("tracks_test_info.mat", "track_test_info"),
        "query": MatrixName("query_IDX.mat", "query_IDX"),
    }
    published = Statistics(
        train=Counts(identities=625, tracklets=8298), query=Counts(identities=626, tracklets=1980)
    )
    # Both galleries hold the distractors as one identity.
    published_galleries: ClassVar[dict[str, Counts]] = {
        "all": Counts(identities=635, tracklets=11310),
        "torchreid": Counts(identities=621, tracklets=9330),
    }
    _junk_pids = (DISTRACTORS,)  # many people, so no identity to train on

    def __init__(
        self, root: StrPath = "", split_id: int = 0, gallery: str = "all", **kwargs: Any
    ) -> None:
        check_choice("gallery", gallery, GALLERIES)
        self.queries_in_gallery = gallery == "all"
        self.paper_statistics = self.published._replace(gallery=self.published_galleries[gallery])
        super().__init__(root, split_id, **kwargs)

    def read(self, split_id: int) -> Subsets:
        """Lists the tracklets of the .mat files; ``query_IDX`` counts from 1."""
        folder = self.dataset_dir / self.matrices_dir
        files = [MatrixName(folder / file, key) for file, key in self.matrices.values()]
        with ThreadPoolExecutor(1) as pool:
            matrices = pool.submit(read_matrices, files)  # while the first names are read
            names = self.frame_names("train")
            rows, test_rows, query_rows = matrices.result()
        train = self._tracklets("train", rows, names)
        del names  # a hundred megabytes
        test = self._tracklets("test", test_rows, self.frame_names("test"))
        queries = (query_rows.ravel() - 1).tolist()
        if not set(queries) <= test.keys():
            raise ValueError(
                f"{folder / self.matrices['query'].path} marks tracklets that "
                f"{self.matrices['test'].path} does not have."
            )
        gallery = test.keys() if self.queries_in_gallery else sorted(test.keys() - set(queries))
        return relabel(train.values()), [test[i] for i in queries], [test[i] for i in gallery]

    def frame_names(self, part: str) -> list[str]:
        """Returns the file names of the frames that the rows of 'train' or 'test' count."""
        return (self.dataset_dir / "info" / f"{part}_name.txt").read_text().split()

    def folder(self, part: str, pid: int) -> str:
        """Returns the folder of a person's frames in 'train' or 'test'."""
        return f"{self.dataset_dir}/bbox_{part}/{pid:04d}"

    def _tracklets(
        self, part: str, rows: npt.NDArray[np.int64], names: list[str]
    ) -> dict[int, ListedTracklet]:
        """Returns the tracklets by row, without junk and without empty ones."""
        file = self.dataset_dir / self.matrices_dir / self.matrices[part].path
        tracklets = {}
        for row, (start, end, pid, camera) in enumerate(rows.tolist()):
            if pid == JUNK:
                continue
            where = f"{file}, row {row + 1}"
            frames = names[start - 1 : end]
            if not frames:
                warnings.warn(f"{where} has no frames and is skipped.", stacklevel=2)
                continue
            person = f"{pid:04d}C{camera}"
            # All have the same beginning if the first and the last in the order of text have.
            if not min(frames)[:6] == max(frames)[:6] == person or end > len(names):
                raise ValueError(
                    f"{where}: frames {start} to {end} of the {part} names should be of person "
                    f"{pid} in camera {camera}, but are {frames[0]} to {frames[-1]}. The matrices "
                    "and the name lists do not belong together."
                )
            folder = f"{self.folder(part, pid)}/"
            paths = tuple([folder + name for name in natural_order(frames)])
            tracklets[row] = (paths, pid, camera - 1)
        return tracklets
