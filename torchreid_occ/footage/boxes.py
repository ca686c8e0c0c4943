"""Boxes of people in the frames of a video, and MOTChallenge's text format for them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.footage.mot_columns import COLUMNS, EXPECTED, MotTable, read_table, shown
from torchreid_occ.utils.logs import logger

UNLINKED = -1  # MOTChallenge's id of a detection that belongs to no track
_PEOPLE = ("person", "pedestrian")
PEDESTRIAN = 1  # MOTChallenge's class of people who walk or stand
_MAX_NUMBER = 2**31


class NoTrackletsError(ValueError):
    """A video in which nobody is seen, or nobody for long enough."""


@dataclass(frozen=True)
class Boxes:
    """Boxes of a video, sorted by frame.

    Args:
        frame: Frame numbers, from 1.
        track: Track ids; -1 for a detection without a track.
        corners: Left, top, right and bottom, in pixels of the frame.
        score: Confidence of the detector, in the detector's own unit.

    Shape:
        `frame`, `track`, `score`: `(N,)`; `corners`: `(N, 4)`.
    """

    frame: npt.NDArray[np.int64]
    track: npt.NDArray[np.int64]
    corners: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, chosen: npt.NDArray[Any] | slice) -> "Boxes":
        return Boxes(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def linked(self) -> bool:
        """Whether the boxes are finished tracks rather than detections."""
        return bool(len(self)) and bool(self.track[0] != UNLINKED)

    def with_(self, **columns: npt.NDArray[Any]) -> "Boxes":
        """Returns the same boxes with other values in some columns.

        Args:
            **columns: New values by name of the column.
        """
        return replace(self, **columns)


def boxes_from_rows(rows: Iterable[Sequence[float]]) -> Boxes:
    """Builds boxes from rows of numbers.

    Args:
        rows: ``(frame, track, left, top, right, bottom, score)`` in any order.
    """
    table = np.array(list(rows), np.float64).reshape(-1, 7)
    table = table[np.argsort(table[:, 0], kind="stable")]
    frame, track = table[:, :2].astype(np.int64).T
    return Boxes(frame, track, table[:, 2:6], table[:, 6])


def read_mot(path: StrPath) -> Boxes:
    """Reads a text file in MOTChallenge's format, with its lines in any order.

    A line is ``frame,id,left,top,width,height,score``; `read_table` lists the dialects. Frames
    count from 1. Ids of -1 are detections; in a file that has other ids, too, they are boxes that
    a tracker gave no track, and left out. Ground truth marks rows that show no person to track,
    which are left out: by a 0 among scores that are all 0 or 1, and, if all rows have nine values
    (MOT16, MOT17, MOT20) or a header names classes, by a class that is no pedestrian. Of ten values
    the last are never a class: MOT15 has world coordinates there.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If the file does not exist.
        NoTrackletsError: If it holds no boxes of people.
        ValueError: If it cannot be parsed; names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of detections {path}.")
    try:
        table = read_table(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}.") from error
    if not table.rows:
        raise NoTrackletsError(f"{path} holds no boxes; expected lines of {EXPECTED}.")
    values = _parsed(path, table)
    people = _people(path, table, values)
    rows = values[people]
    _check_unique(path, rows, np.array(table.lines)[people])
    return boxes_from_rows(rows)


def mot_line(frame: int, corners: Iterable[float], score: float, track: int = UNLINKED) -> str:
    """Formats a box as a line of MOTChallenge's format.

    Args:
        frame: Number of the frame.
        corners: Left, top, right and bottom in pixels.
        score: Confidence of the detector.
        track: Id of the track; -1 for a detection.
    """
    left, top, right, bottom = corners
    size = f"{right - left:.2f},{bottom - top:.2f}"
    return f"{frame},{track},{left:.2f},{top:.2f},{size},{score:.4f},-1,-1,-1\n"


def boxes_from_lines(lines: Iterable[str]) -> Boxes:
    """Reads lines that `mot_line` wrote.

    Args:
        lines: The lines.
    """
    rows = [[float(value) for value in line.split(",")[: len(COLUMNS)]] for line in lines]
    return boxes_from_rows((f, t, x, y, x + w, y + h, score) for f, t, x, y, w, h, score in rows)


def _parsed(path: Path, table: MotTable) -> npt.NDArray[np.float64]:
    """Returns the rows for `boxes_from_rows`, in the order of the file."""

    def values(name: str, whole: bool = False) -> npt.NDArray[np.float64]:
        texts = [row[table.columns[name]] for row in table.rows]
        numbers = np.array([_as_float(text) for text in texts])
        wrong = ~(np.abs(numbers) < _MAX_NUMBER)
        wrong |= whole & (numbers != np.floor(numbers))
        if wrong.any():
            kind = "whole number" if whole else "number"
            place = int(wrong.argmax())
            raise ValueError(
                f"{path}, line {table.lines[place]}: the {name} is {shown(texts[place])}, but "
                f"expected a {kind}."
            )
        return numbers

    columns, ones = table.columns, np.ones(len(table.rows))
    frame = values("frame", whole=True)
    track = values("id", whole=True) if "id" in columns else UNLINKED * ones
    left, top = values("left"), values("top")
    right = left + values("width") if "width" in columns else values("right")
    bottom = top + values("height") if "height" in columns else values("bottom")
    score = values("score") if "score" in columns else ones
    for name, numbers, lowest, expected in (
        ("frame", frame, 1, "frames count from 1"),
        ("id", track, UNLINKED, "expected -1 (a detection) or the id of a track"),
    ):
        if (numbers < lowest).any():
            place = int((numbers < lowest).argmax())
            raise ValueError(
                f"{path}, line {table.lines[place]}: the {name} is {numbers[place]:g}, but "
                f"{expected}."
            )
    return np.stack([frame, track, left, top, right, bottom, score], axis=1)


def _people(path: Path, table: MotTable, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Returns which rows are people; says how many are not, and why.

    Raises:
        ValueError: If none is, or classes have numbers of an unknown meaning.
    """
    unlinked = values[:, 1] == UNLINKED
    detections = bool(unlinked.all())
    flag = values[:, 6]
    # Scores that are all 0 or all 1 tell nothing; -1 is a tracker's, too.
    flags = not detections and bool(np.isin(flag[~unlinked], (0, 1)).all())
    other = _of_other_classes(path, table, flags) & ~(unlinked & (not detections))
    flagged = ~unlinked & (flag == 0) & flags
    if not (flag[~unlinked] != 0).any() and not other.any():
        flagged[:] = False
    dropped = {
        "have the id -1 among others, and are of no track": unlinked & (not detections),
        "are flagged 0, as ground truth marks what is not to be tracked": flagged,
        "are of a class that is no pedestrian": other & ~flagged,
    }
    left_out = np.logical_or.reduce([*dropped.values()])
    reasons = "; ".join(f"{mask.sum()} {reason}" for reason, mask in dropped.items() if mask.any())
    if left_out.all():
        raise NoTrackletsError(f"{path} holds no boxes of people: of {len(values)} rows {reasons}.")
    if left_out.any():
        logger.warning("%s: left out, of %d rows: %s.", path, len(values), reasons)
    people: npt.NDArray[np.bool_] = ~left_out
    return people


def _of_other_classes(path: Path, table: MotTable, flags: bool) -> npt.NDArray[np.bool_]:
    """Returns which rows are of a class other than people, where the file tells.

    Args:
        path: The file, for errors.
        table: Its rows.
        flags: Whether it may be ground truth: rows have ids, and all scores are 0 or 1.
    """
    nothing = np.zeros(len(table.rows), np.bool_)
    if "class" not in table.columns:
        return nothing
    texts = [_text(row, table.columns["class"]).strip().lower() for row in table.rows]
    classes = np.array([_as_float(text) for text in texts])
    if table.named and np.isnan(classes).all():
        return ~np.isin(texts, _PEOPLE)
    seen = np.array([_as_float(_text(row, table.columns.get("visibility"))) for row in table.rows])
    share = (seen == -1) | ((seen >= 0) & (seen <= 1))
    if flags and share.all() and ((classes >= 1) & (classes == np.round(classes))).all():
        return classes != PEDESTRIAN
    if table.named and len(set(texts)) > 1:
        raise ValueError(
            f"{path} has the classes {', '.join(sorted(set(texts))[:5])}, whose numbers differ "
            "between data sets: keep the rows of people only, or name the class 'person'."
        )
    return nothing


def _text(row: Sequence[str], place: int | None) -> str:
    """Returns a value of a row; -1, which is unknown, where there is none."""
    return row[place] if place is not None and place < len(row) else "-1"


def _as_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _check_unique(path: Path, rows: npt.NDArray[np.float64], lines: npt.NDArray[np.int64]) -> None:
    """Raises ValueError if a track has two boxes in a frame."""
    linked = rows[rows[:, 1] != UNLINKED, :2]
    if len(np.unique(linked, axis=0)) == len(linked):
        return
    seen: dict[tuple[float, float], int] = {}
    for (frame, track), line in zip(rows[:, :2].tolist(), lines.tolist(), strict=True):
        first = seen.setdefault((frame, track), line)
        if track != UNLINKED and first != line:
            raise ValueError(
                f"{path}, line {line}: track {track:g} is already in frame {frame:g}, in line "
                f"{first}."
            )
