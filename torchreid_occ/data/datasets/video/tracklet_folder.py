"""A user's own tracklets: folders, or a CSV of frames."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from torchreid_occ._registry import register_dataset
from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import (
    SUBSETS,
    Subsets,
    TrackletDataset,
    frames_in,
    natural_key,
    relabel,
    subfolders,
)

COLUMNS = ("path", "pid", "camid", "split")
# Paths of a tracklet's frames, name of the person, camid.
NamedTracklet: TypeAlias = tuple[tuple[str, ...], str, int]


@register_dataset("tracklet_folder")
class TrackletFolder(TrackletDataset):
    """Your own data, from folders or from a file tracklets.csv (which is preferred where both are).

    Person names may be any text; an identity has the same name in query and gallery. Cameras are
    whole numbers.

    Folders below root (without ``tracklet_folder/``, root itself holds what would be in it)::

        tracklet_folder/
            train/
                <person>/
                    <camera>/            a number, then anything after an underscore: 3 or 3_morning
                        0001.jpg         jpg, png or bmp, in natural order
            query/
            gallery/

    or one row for each frame, in the order of time::

        tracklet_folder/
            tracklets.csv                path,pid,camid,split[,tracklet]

    where ``path`` is relative to the CSV, ``split`` is train, query or gallery, and ``tracklet``
    tells the tracklets of one person in one camera apart; without it they are one.

    Query and gallery without train can be tested on. A gallery alone, as torchreid-occ tracklets
    makes of a video, can be searched in, but not trained or tested on.
    """

    may_lack_train = True

    def __init__(self, root: StrPath = "", split_id: int = 0, **kwargs: Any) -> None:
        if (Path(root).expanduser() / "tracklet_folder").is_dir():
            self.dataset_dir = Path("tracklet_folder")
        folder = Path(root).expanduser() / self.dataset_dir
        self._csv = (folder / "tracklets.csv").exists()
        if self._csv:
            self.required = ("tracklets.csv",)
        else:
            present = tuple(subset for subset in SUBSETS if (folder / subset).is_dir())
            self.required = present if present in (("gallery",), SUBSETS[1:]) else SUBSETS
        super().__init__(root, split_id, **kwargs)

    def read(self, split_id: int) -> Subsets:
        """Lists the tracklets; names of persons become numbers in natural order."""
        if self._csv:
            subsets = _read_csv(self.dataset_dir / "tracklets.csv")
        else:
            subsets = {subset: [] for subset in SUBSETS}
            subsets |= {name: _read_folder(self.dataset_dir / name) for name in self.required}
        persons = {person for items in subsets.values() for _, person, _ in items}
        pids = {person: pid for pid, person in enumerate(sorted(persons, key=natural_key))}
        train, query, gallery = (
            [(frames, pids[person], camid) for frames, person, camid in subsets[subset]]
            for subset in SUBSETS
        )
        return relabel(train), query, gallery


class _Key(NamedTuple):
    """The cells of a row that tell tracklets apart."""

    subset: str
    person: str
    camid: int
    tracklet: str


def _read_folder(folder: Path) -> list[NamedTracklet]:
    items = []
    for person in subfolders(folder):
        for tracklet in subfolders(person):
            camera = re.fullmatch(r"(\d+)(_.*)?", tracklet.name, re.DOTALL)
            if camera is None:
                raise ValueError(
                    f"{tracklet}: expected a folder named by the camera's number, alone or "
                    "followed by an underscore and anything, as in 3 or 3_morning."
                )
            if frames := frames_in(tracklet):
                items.append((frames, person.name, int(camera.group(1))))
    return items


def _read_csv(path: Path) -> dict[str, list[NamedTracklet]]:
    tracklets: dict[_Key, list[str]] = {}
    seen: dict[tuple[str, str], int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            _check_header(path, reader.fieldnames)
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                key, frame = _parse_row(where, row, path.parent)
                first = seen.setdefault((key.subset, frame), reader.line_num)
                if first != reader.line_num:
                    raise ValueError(
                        f"{where}: {frame} is already in {key.subset}, in line {first}."
                    )
                tracklets.setdefault(key, []).append(frame)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as CSV in UTF-8: {error}.") from error
    subsets: dict[str, list[NamedTracklet]] = {subset: [] for subset in SUBSETS}
    for (subset, person, camid, _), frames in tracklets.items():
        subsets[subset].append((tuple(frames), person, camid))
    absent = [subset for subset, items in subsets.items() if not items]
    if absent not in ([], ["train"]):
        raise ValueError(f"{path} has no frames whose split is {' or '.join(absent)}.")
    return subsets


def _check_header(path: Path, names: Sequence[str] | None) -> None:
    missing = [name for name in COLUMNS if name not in (names or ())]
    if missing:
        raise ValueError(
            f"{path}, line 1: the columns {missing} are missing from {names}; expected "
            "path,pid,camid,split[,tracklet], separated by commas."
        )


def _parse_row(where: str, row: Mapping[Any, Any], folder: Path) -> tuple[_Key, str]:
    """Returns the tracklet of a row and the path of its frame."""
    if None in row or None in row.values():
        raise ValueError(f"{where}: the row does not have as many values as the header.")
    for name in COLUMNS:
        if not row[name]:
            raise ValueError(f"{where}: no {name} is given.")
    if row["split"] not in SUBSETS:
        raise ValueError(f"{where}: split is {row['split']!r}, but expected one of {[*SUBSETS]}.")
    if not re.fullmatch(r"\d{1,9}", row["camid"]):
        raise ValueError(f"{where}: camid is {row['camid']!r}, but expected a whole number.")
    frame = folder / row["path"]
    if not frame.is_file():
        raise FileNotFoundError(
            f"{where}: the frame {frame} does not exist: restore it, or remove its row."
        )
    key = _Key(row["split"], row["pid"], int(row["camid"]), row.get("tracklet", ""))
    return key, str(frame)
