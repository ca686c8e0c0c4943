"""LS-VID."""

import os
import re
import sys
import warnings
from bisect import bisect_left
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from torchreid_occ._registry import register_dataset
from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import (
    IMAGE_SUFFIXES,
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

GALLERIES = {
    "without_queries": Counts(identities=2730, tracklets=7829),
    "all": Counts(identities=2730, tracklets=11333),
}


@register_dataset("lsvid")
class LSVID(TrackletDataset):
    """LS-VID: 15 cameras in- and outdoors, tracklets of about 200 frames.

    The test tracklets are one list in which ``info_test.mat`` marks the queries. The published
    gallery is the rest of it; four queries have no match in another camera.

    Reference:
        Li et al. Global-Local Temporal Representations for Video Person Re-Identification.
        ICCV 2019.

    URL: `<https://openaccess.thecvf.com/content_ICCV_2019/html/Li_Global-Local_Temporal_Representations_for_Video_Person_Re-Identification_ICCV_2019_paper.html>`_
    (ask the authors for the data).

    Dataset statistics:
        - identities: 842 (train) + 200 (validation, not read) + 2730 (test).
        - tracklets: 2831 (train) + 3504 (query) + 7829 (the other test tracklets).
        - cameras: 15.

    Folders below root::

        LS-VID/
            list_sequence/
                list_seq_train.txt       rows of what a tracklet's frames begin with, and its person
                list_seq_test.txt
            test/data/
                info_test.mat
            tracklet_train/              frames are named <person>_<number>_<camera>_<frame>.jpg
            tracklet_test/

    Args:
        root: Folder that holds the datasets.
        split_id: Ignored: there is one split.
        gallery: ``'without_queries'`` for the published gallery, ``'all'`` for query and gallery as
            of MARS.
        **kwargs: torchreid's.
    """

    dataset_dir = Path("LS-VID")
    required = (
        "list_sequence/list_seq_train.txt",
        "list_sequence/list_seq_test.txt",
        "test/data/info_test.mat",
    )

    def __init__(
        self,
        root: StrPath = "",
        split_id: int = 0,
        gallery: str = "without_queries",
        **kwargs: Any,
    ) -> None:
        check_choice("gallery", gallery, GALLERIES)
        self.queries_in_gallery = gallery == "all"
        self.paper_statistics = Statistics(
            train=Counts(identities=842, tracklets=2831),
            query=Counts(identities=2730, tracklets=3504),
            gallery=GALLERIES[gallery],
        )
        super().__init__(root, split_id, **kwargs)

    def read(self, split_id: int) -> Subsets:
        """Lists the tracklets of the lists; queries and cameras are those of info_test.mat."""
        info = self.dataset_dir / "test" / "data" / "info_test.mat"
        rows, query_rows = read_matrices([MatrixName(info, "info_test"), MatrixName(info, "query")])
        queries = (query_rows.ravel() - 1).tolist()
        listed = self._sequences("test")
        if len(rows) != len(listed) or not set(queries) <= set(range(len(rows))):
            raise ValueError(
                f"{info} has {len(rows)} tracklets and queries up to {max(queries, default=-1) + 1}"
                f", but list_seq_test.txt has {len(listed)}. They do not belong together."
            )
        test = self._tracklets(listed)
        _compare(info, rows.tolist(), test)
        marked = set(queries)
        gallery = [
            item for row, item in enumerate(test) if self.queries_in_gallery or row not in marked
        ]
        return (
            relabel(self._tracklets(self._sequences("train"))),
            [test[row] for row in queries],
            gallery,
        )

    def _sequences(self, part: str) -> list["_Sequence"]:
        """Returns the rows of a list."""
        path = self.dataset_dir / "list_sequence" / f"list_seq_{part}.txt"
        rows = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.fullmatch(r"(\S+)\s+(\d+)\s*", line)
            if match:
                rows.append(_Sequence(f"{path}, line {number}", match[1], int(match[2])))
            elif line.strip():
                raise ValueError(
                    f"{path}, line {number}: expected the beginning of a path and a person's "
                    f"number, but found {line!r}."
                )
        return rows

    def _tracklets(self, sequences: list["_Sequence"]) -> list[ListedTracklet]:
        """Lists the frames of sequences; the camera is in the frames' names."""
        # The lists go from person to person, so that a few folders are remembered at a time.
        names_in = lru_cache(maxsize=4)(image_names)
        tracklets = []
        for where, beginning, pid in sequences:
            folder, _, prefix = f"{self.dataset_dir}/{beginning}".rpartition("/")
            names = _names_of(prefix, names_in(folder))
            cameras = {name.split("_")[2] for name in names if name.count("_") == 3}
            if not names or len(cameras) != 1 or not (camera := cameras.pop()).isdecimal():
                raise ValueError(
                    f"{where}: {len(names)} frames begin with {folder}/{prefix}, but expected some "
                    "of one camera, named as 0000_0001_05_0001.jpg (the third number is the "
                    "camera)."
                )
            frames = tuple([f"{folder}/{name}" for name in natural_order(names)])
            tracklets.append((frames, pid, int(camera) - 1))
        return tracklets


class _Sequence(NamedTuple):
    """A row of a list: where it stands, what the paths of its frames begin with, and the person."""

    where: str
    beginning: str
    pid: int


def _compare(info: Path, rows: list[list[int]], tracklets: list[ListedTracklet]) -> None:
    """Compares rows [start, end, person from 0, camera from 1] of a matrix with what is on disk."""
    other = 0
    for row, ((start, end, *labels), (frames, pid, camid)) in enumerate(
        zip(rows, tracklets, strict=True), 1
    ):
        other += len(frames) != end - start + 1
        if labels != [pid, camid + 1]:
            raise ValueError(
                f"{info}, row {row} is of person {labels[0]} in camera {labels[1]}, but "
                f"{frames[0]} is of person {pid} in camera {camid + 1}."
            )
    if other:
        warnings.warn(
            f"LSVID: {other} of {len(rows)} test tracklets have another number of frames than "
            f"{info} counts; the data may not be complete.",
            stacklevel=2,
        )


def image_names(folder: str) -> list[str]:
    """Returns the names of the images in a folder, sorted as text; none if it does not exist."""
    if not Path(folder).is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.name.lower().endswith(IMAGE_SUFFIXES))


def _names_of(prefix: str, names: list[str]) -> list[str]:
    """Returns the names with a prefix; a number at its end is a whole number (1 is not 10)."""
    found = names[bisect_left(names, prefix) : bisect_left(names, prefix + chr(sys.maxunicode))]
    if prefix[-1:].isdecimal():
        return [name for name in found if not name[len(prefix) :][:1].isdecimal()]
    return found
