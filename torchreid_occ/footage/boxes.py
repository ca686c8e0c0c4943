"""Boxes of people in the frames of a video, and MOTChallenge's text files of them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

UNLINKED = -1  # MOTChallenge's id of a detection that belongs to no track
_COLUMNS = "frame,id,left,top,width,height,score"
_MAX_NUMBER = 2**31


@dataclass(frozen=True)
class Boxes:
    """Boxes of a video, sorted by frame.

    Args:
        frame: Numbers of the frames, from 1 on.
        track: What track each belongs to; -1 for none.
        corners: Left, top, right and bottom, in pixels of the frame.
        score: How sure the detector was, in its own unit.

    Shape:
        `frame`, `track`, `score`: `(N,)`; `corners`: `(N, 4)`.
    """

    frame: np.ndarray
    track: np.ndarray
    corners: np.ndarray
    score: np.ndarray

    def __len__(self):
        return len(self.frame)

    def __getitem__(self, chosen):
        return Boxes(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def linked(self) -> bool:
        """Whether they are finished tracks rather than detections."""
        return bool(len(self)) and self.track[0] != UNLINKED

    def with_(self, **columns) -> "Boxes":
        """The same boxes with other values in some columns."""
        return replace(self, **columns)


def boxes_from_rows(rows: Iterable[tuple]) -> Boxes:
    """Boxes from rows ``(frame, track, left, top, right, bottom, score)`` in any order."""
    table = np.array(list(rows), np.float64).reshape(-1, 7)
    table = table[np.argsort(table[:, 0], kind="stable")]
    frame, track = table[:, :2].astype(np.int64).T
    return Boxes(frame, track, table[:, 2:6], table[:, 6])


def read_mot(path: str | Path) -> Boxes:
    """Reads a text file in MOTChallenge's format; its lines may be in any order.

    A line is ``frame,id,left,top,width,height,score`` and anything after: frames count from 1, and
    the id is -1 in all lines (detections) or in none (tracks).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it can't be read or holds no boxes; names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of detections {path}.")
    rows, seen = [], {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                row = _parse_line(f"{path}, line {number}", line)
                rows.append(row)
                if row[1] != UNLINKED and seen.setdefault(row[:2], number) != number:
                    raise ValueError(
                        f"{path}, line {number}: track {row[1]} is already in frame {row[0]}, in "
                        f"line {seen[row[:2]]}."
                    )
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}.") from error
    if not rows:
        raise ValueError(f"{path} holds no boxes; expected lines of {_COLUMNS}.")
    if len({row[1] == UNLINKED for row in rows}) > 1:
        raise ValueError(
            f"{path} mixes detections (id -1) with tracks: give all lines an id, or none."
        )
    return boxes_from_rows(rows)


def mot_line(frame: int, corners: Iterable[float], score: float) -> str:
    """A detection as a line of MOTChallenge's format."""
    left, top, right, bottom = corners
    size = f"{right - left:.2f},{bottom - top:.2f}"
    return f"{frame},{UNLINKED},{left:.2f},{top:.2f},{size},{score:.4f},-1,-1,-1\n"


def _parse_line(where, line):
    values = line.strip().split(",")
    if len(values) < 7:
        raise ValueError(f"{where}: {_shown(line)} has not the values {_COLUMNS}.")
    frame = _number(where, "frame", values[0], whole=True)
    track = _number(where, "id", values[1], whole=True)
    left, top, width, height, score = (
        _number(where, name, value)
        for name, value in zip(_COLUMNS.split(",")[2:], values[2:7], strict=True)
    )
    if frame < 1:
        raise ValueError(f"{where}: the frame is {frame}, but frames count from 1.")
    if track < UNLINKED:
        raise ValueError(f"{where}: the id is {track}, but expected -1 (a detection) or a track's.")
    return frame, track, left, top, left + width, top + height, score


def _number(where, name, text, whole=False):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < _MAX_NUMBER or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        raise ValueError(f"{where}: the {name} is {_shown(text)}, but expected a {kind}.")
    return int(value) if whole else value


def _shown(text):
    text = text.strip()
    return repr(text if len(text) < 60 else f"{text[:60]}...")
