"""Boxes of people in the frames of a video, and MOTChallenge's text format for them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath

UNLINKED = -1  # MOTChallenge's id of a detection that belongs to no track
_COLUMNS = "frame,id,left,top,width,height,score"
_MAX_NUMBER = 2**31


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


class _Row(NamedTuple):
    """A box as a row of numbers."""

    frame: int
    track: int
    left: float
    top: float
    right: float
    bottom: float
    score: float


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

    A line is ``frame,id,left,top,width,height,score``, and further values are ignored. Frames count
    from 1. The id is -1 in all lines (detections) or in none (tracks).

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it cannot be parsed or holds no boxes; names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of detections {path}.")
    rows: list[_Row] = []
    lines: dict[tuple[int, int], int] = {}  # of a track in a frame
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                row = _parse_line(f"{path}, line {number}", line)
                rows.append(row)
                first = lines.setdefault((row.frame, row.track), number)
                if row.track != UNLINKED and first != number:
                    raise ValueError(
                        f"{path}, line {number}: track {row.track} is already in frame "
                        f"{row.frame}, in line {first}."
                    )
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}.") from error
    if not rows:
        raise ValueError(f"{path} holds no boxes; expected lines of {_COLUMNS}.")
    if len({row.track == UNLINKED for row in rows}) > 1:
        raise ValueError(
            f"{path} mixes detections (id -1) with tracks: give all lines an id, or none."
        )
    return boxes_from_rows(rows)


def mot_line(frame: int, corners: Iterable[float], score: float) -> str:
    """Formats a detection as a line of MOTChallenge's format.

    Args:
        frame: Number of the frame.
        corners: Left, top, right and bottom in pixels.
        score: Confidence of the detector.
    """
    left, top, right, bottom = corners
    size = f"{right - left:.2f},{bottom - top:.2f}"
    return f"{frame},{UNLINKED},{left:.2f},{top:.2f},{size},{score:.4f},-1,-1,-1\n"


def _parse_line(where: str, line: str) -> _Row:
    values = line.strip().split(",")
    if len(values) < 7:
        raise ValueError(f"{where}: {_shown(line)} has fewer values than {_COLUMNS}.")
    frame = int(_number(where, "frame", values[0], whole=True))
    track = int(_number(where, "id", values[1], whole=True))
    left, top, width, height, score = (
        _number(where, name, value)
        for name, value in zip(_COLUMNS.split(",")[2:], values[2:7], strict=True)
    )
    if frame < 1:
        raise ValueError(f"{where}: the frame is {frame}, but frames count from 1.")
    if track < UNLINKED:
        raise ValueError(
            f"{where}: the id is {track}, but expected -1 (a detection) or the id of a track."
        )
    return _Row(frame, track, left, top, left + width, top + height, score)


def _number(where: str, name: str, text: str, whole: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < _MAX_NUMBER or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        raise ValueError(f"{where}: the {name} is {_shown(text)}, but expected a {kind}.")
    return value


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) < 60 else f"{text[:60]}...")
