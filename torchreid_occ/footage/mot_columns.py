"""Dialects of MOTChallenge's text format: which column of a file holds which value."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("frame", "id", "left", "top", "width", "height", "score")
EXPECTED = ",".join(COLUMNS)
# Ground truth of MOT16, MOT17 and MOT20 has exactly these; a flag stands in place of a score.
_GROUND_TRUTH = (*COLUMNS, "class", "visibility")
_WITHOUT_SCORE = COLUMNS[:6]

# Names in a header, in lower case and without other characters than letters and digits.
_NAMES = {
    "frame": "frame frameid frameno framenr framenum framenumber",
    "id": "id track trackid trackerid targetid objectid personid identity",
    "left": "left bbleft boxleft bboxleft bbx x x1 xmin xtl",
    "top": "top bbtop boxtop bboxtop bby y y1 ymin ytl",
    "width": "width bbwidth boxwidth bboxwidth bbw w",
    "height": "height bbheight boxheight bboxheight bbh h",
    "right": "right bbright x2 xmax xbr",
    "bottom": "bottom bbbottom y2 ymax ybr",
    "score": "score conf confidence flag consider notignored",
    "class": "class classid cls category label",
    "visibility": "visibility vis",
}


class MotTable(NamedTuple):
    """Values of a file, not yet parsed.

    Attributes:
        lines: Number of each row's line in the file, from 1.
        rows: Values of each row.
        columns: Place of each known column in a row.
        named: Whether a header names the columns.
    """

    lines: list[int]
    rows: list[list[str]]
    columns: Mapping[str, int]
    named: bool


def read_table(path: Path) -> MotTable:
    """Splits the lines of a file into values, and finds out what the columns are.

    Values are separated by commas, semicolons, or spaces and tabs. Empty lines, and comments after
    ``#`` or ``%``, are skipped. Without a header the columns are `COLUMNS`; all lines may lack the
    score, and further values are ignored unless all lines have nine, which may be ground truth.

    Args:
        path: The file.

    Raises:
        ValueError: If a line has too few values, or the columns are unknown or ambiguous.
    """
    lines: list[int] = []
    rows: list[list[str]] = []
    columns: Mapping[str, int] | None = None
    separator = ""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            text = line.strip()
            comment = text[:1] in ("#", "%")
            if not text or (comment and (rows or columns)):
                continue
            separator = separator or _separator(text)
            values = _split(text.lstrip("#% "), separator)
            if rows or columns or _is_number(values[0]):
                lines.append(number)
                rows.append(values)
            elif columns := _header(values):
                continue
            elif comment:
                separator = ""
            else:
                raise ValueError(
                    f"{path}, line {number}: {shown(text)} is neither a box ({EXPECTED}) nor a "
                    "header that names these columns; a box may have right and bottom in place of "
                    "its size, and no id or score."
                )
    known = columns or _columns_of(path, rows)
    last = max(place for name, place in known.items() if name not in ("class", "visibility"))
    for number, row in zip(lines, rows, strict=True):
        if len(row) <= last:
            wanted = EXPECTED if columns is None else "the header"
            raise ValueError(
                f"{path}, line {number}: {shown(separator.join(row))} has fewer values than "
                f"{wanted}."
            )
    return MotTable(lines, rows, known, columns is not None)


def shown(text: str) -> str:
    """Returns a part of a file for an error message, shortened."""
    text = text.strip()
    return repr(text if len(text) < 60 else f"{text[:60]}...")


def _separator(line: str) -> str:
    return next((mark for mark in (";", ",") if mark in line), " ")


def _split(line: str, separator: str) -> list[str]:
    values = line.split() if separator == " " else line.split(separator)
    if '"' in line:
        values = [value.strip(' \t"') for value in values]
    return values[:-1] if len(values) > 1 and not values[-1].strip() else values


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _header(values: Sequence[str]) -> dict[str, int] | None:
    """Returns the columns that a header names; None if it is no header of boxes."""
    plain = [re.sub(r"[^a-z0-9]", "", value.lower()) for value in values]
    columns = {}
    for name, spellings in _NAMES.items():
        places = [place for place, word in enumerate(plain) if word in spellings.split()]
        if places:
            columns[name] = places[0]
    sizes = ({"width", "height"}, {"right", "bottom"})
    complete = {"frame", "left", "top"} <= columns.keys()
    return columns if complete and any(size <= columns.keys() for size in sizes) else None


def _columns_of(path: Path, rows: Sequence[Sequence[str]]) -> dict[str, int]:
    """Returns the columns of a file without a header, by how many all of its lines have."""
    counts = {len(row) for row in rows}
    names: Sequence[str] = COLUMNS
    if counts == {len(_GROUND_TRUTH)}:
        names = _GROUND_TRUTH
    elif counts == {len(_WITHOUT_SCORE)}:
        names = _WITHOUT_SCORE
        if all(_is_number(row[-1]) and float(row[-1]) <= 1 for row in rows):
            raise ValueError(
                f"{path} has six columns, of which the last is at most 1, like a score: it is not "
                f"clear what they are. Expected {EXPECTED}; the id of a detection is -1."
            )
    return {name: place for place, name in enumerate(names)}
