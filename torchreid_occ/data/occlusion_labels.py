"""Labels of occlusion that an annotation file gives for frames."""

import csv
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.data.ground_truth import GroundTruth, ground_truth_of
from torchreid_occ.utils.documents import read_json

COLUMNS = ["frame", "label"]
LARGEST = 10
_LABELS = {str(label) for label in range(LARGEST + 1)}


class LabelledOcclusion(GroundTruth):
    """Ground truth from labels of frames: 0 for no occlusion, 1 up to a tenth hidden, ... 10.

    Of a label only a range of hidden shares is known, of which the middle stands for all.

    Args:
        labels: Label by file name of the frame.
        query: Paths of the frames of each query tracklet.
    """

    def __init__(self, labels: Mapping[str, int], query: Sequence[Sequence[str]]) -> None:
        self._labels, self._query = labels, query

    def knows(self, img_path: str) -> bool:
        """Returns whether a frame has a label."""
        return Path(img_path).name in self._labels

    def hidden_share(self, img_path: str) -> float:
        """Returns how much of the person in a frame is hidden: the middle of its label's range."""
        label = self._labels[Path(img_path).name]
        return (label - 0.5) / LARGEST if label else 0.0

    def query_tracklets(self) -> Sequence[Sequence[str]]:
        """Returns the paths of the frames of each query tracklet."""
        return self._query

    def visible(self) -> None:
        """Returns None: labels are no masks."""

    def whole(self) -> None:
        """Returns None: labels are no masks."""


def read_occlusion_labels(path: StrPath) -> dict[str, int]:
    """Reads an annotation file of frames.

    Two forms are read: CSV with the columns ``frame,label``, and JSON, an object
    ``{"frame": label}``. Frames are file names, labels whole numbers from 0 to 10.

    Args:
        path: The file, ``.csv`` or ``.json``.

    Returns:
        Label by file name of the frame.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has another form, names a frame twice, has another label, or is empty.
    """
    path = Path(path).expanduser()
    readers = {".csv": _read_csv, ".json": _read_json}
    if path.suffix.lower() not in readers:
        raise ValueError(
            f"{path} is no annotation of occlusion that can be read: expected a .csv file with the "
            'columns frame,label or a .json file of {"frame": label}.'
        )
    labels: dict[str, int] = {}
    for where, frame, value in readers[path.suffix.lower()](path):
        # A label is text in CSV and a number in JSON.
        if str(value) not in _LABELS or isinstance(value, bool):
            raise ValueError(
                f"{where}: the label of {frame} is {value!r}, but expected a whole number from 0 "
                f"to {LARGEST}."
            )
        name = Path(frame).name
        if not name:
            raise ValueError(f"{where}: there is a label without a frame.")
        if name in labels:
            raise ValueError(f"{where}: the frame {name} has a label already.")
        labels[name] = int(value)
    if not labels:
        raise ValueError(f"{path} holds no labels.")
    return labels


def check_labelled(path: StrPath, labels: Mapping[str, int], frames: Iterable[str]) -> None:
    """Checks that frames have a label.

    Args:
        path: The annotation file, for the error.
        labels: Label by file name of the frame.
        frames: Paths of the frames.

    Raises:
        ValueError: If a frame has none.
    """
    frames = [*frames]
    missing = [frame for frame in frames if Path(frame).name not in labels]
    if missing:
        raise ValueError(
            f"{path} has no label for {len(missing):,} of {len(frames):,} query frames, the first "
            f"of which is {missing[0]}."
        )


def fractions_by_split(dataset: Any) -> dict[str, list[npt.NDArray[np.floating[Any]]]]:
    """Returns for each labelled split the hidden fractions of each tracklet's frames.

    A split of which frames have no label is left out, with a warning.

    Args:
        dataset: A dataset with labels as ground truth.

    Raises:
        ValueError: If it has no labels.
    """
    truth = ground_truth_of(dataset)
    if not isinstance(truth, LabelledOcclusion):
        raise ValueError(f"{type(dataset).__name__} has no labels of occlusion.")
    splits: dict[str, list[npt.NDArray[np.floating[Any]]]] = {}
    for split in ("query", "gallery"):
        tracklets = [paths for paths, *_ in getattr(dataset, split)]
        missing = sum(not truth.knows(path) for paths in tracklets for path in paths)
        if missing:
            total = sum(map(len, tracklets))
            warnings.warn(
                f"{missing:,} of {total:,} frames of the {split} set have no label, so that its "
                "rows are left out.",
                stacklevel=2,
            )
            continue
        splits[split] = [np.array([*map(truth.hidden_share, paths)]) for paths in tracklets]
    return splits


def _read_csv(path: Path) -> Iterable[tuple[str, str, Any]]:
    """Yields place, frame and label of each row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, skipinitialspace=True)
            header = next(rows, [])
            if header != COLUMNS:
                raise ValueError(
                    f"{path}, line 1: the columns are {header}, but expected {COLUMNS}."
                )
            for row in rows:
                where = f"{path}, line {rows.line_num}"
                if len(row) != len(COLUMNS):
                    raise ValueError(f"{where}: the row {row} does not have two values.")
                yield where, row[0], row[1]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as CSV in UTF-8: {error}.") from error


def _read_json(path: Path) -> Iterable[tuple[str, str, Any]]:
    """Yields place, frame and label of each entry."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(
            f'{path} holds a {type(content).__name__}, but expected an object {{"frame": label}}.'
        )
    for frame, label in content.items():
        yield str(path), frame, label
