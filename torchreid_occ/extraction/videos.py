"""Lists of videos, out of which people are to be cut."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torchreid_occ._types import StrPath
from torchreid_occ.extraction.units import VideoUnit
from torchreid_occ.footage import BoxSource, TrackletOptions
from torchreid_occ.footage.recording import recording_name
from torchreid_occ.footage.video import existing_video

NEEDED, OPTIONAL = ("video", "camera"), ("name", "detections", "fps")


def video_units(
    lists: Sequence[StrPath],
    footage: StrPath,
    detector: str | None = None,
    weights: str | None = None,
    options: TrackletOptions | None = None,
) -> list[VideoUnit]:
    """Reads lists of videos, CSV files with a row for each.

    The columns are ``video``, ``camera`` (its number), and, where needed, ``name`` (of the
    recording), ``detections`` (a file of boxes in MOTChallenge's format, in place of the detector)
    and ``fps`` (if the video's is wrong). Paths are relative to their list.

    Args:
        lists: The lists.
        footage: Folder of the dataset to which the recordings are added.
        detector: Name of a detector for videos without detections, see `build_detector`.
        weights: File of weights for the detector.
        options: Which tracks become tracklets; camera and frame rate are those of the list.

    Raises:
        FileNotFoundError: If a list, a video or a file of detections does not exist.
        ValueError: If a list is damaged or empty, a video has neither detections nor a detector,
            or two recordings have one name; names the line.
    """
    shared = options or TrackletOptions(0)
    units: list[VideoUnit] = []
    lines: dict[str, str] = {}
    for folder, where, row in _rows(lists):
        if not re.fullmatch(r"\d{1,9}", row["camera"]):
            raise ValueError(f"{where}: camera is {row['camera']!r}, but expected a whole number.")
        try:
            video = existing_video(folder / row["video"])
            name = recording_name(video, row.get("name", ""))
            rate = float(row["fps"]) if row.get("fps") else None
        except (ValueError, FileNotFoundError) as error:
            raise type(error)(f"{where}: {error}") from error
        if name in lines:
            raise ValueError(
                f"{where}: the recording {name!r} is already in {lines[name]}: give one of them "
                "another name in a column 'name'."
            )
        lines[name] = where
        units.append(
            VideoUnit(
                f"video-{name}",
                str(video),
                str(video),
                str(Path(footage).expanduser().absolute()),
                _boxes(where, folder, row, detector, weights),
                shared._replace(camera=int(row["camera"]), frame_rate=rate),
                name,
            )
        )
    return units


def _boxes(
    where: str, folder: Path, row: Mapping[str, str], detector: str | None, weights: str | None
) -> BoxSource:
    """Returns where the boxes of a video come from."""
    if row.get("detections"):
        file = folder / row["detections"]
        if not file.is_file():
            raise FileNotFoundError(f"{where}: there is no file of detections {file}.")
        return BoxSource(detections=str(file))
    if detector is None:
        raise ValueError(f"{where}: no detections are given; give them, or name a detector.")
    return BoxSource(detector=detector, weights=weights)


def _rows(lists: Sequence[StrPath]) -> Iterator[tuple[Path, str, dict[str, str]]]:
    """Yields the folder of the list, the place in it and the values of each row."""
    for given in lists:
        path = Path(given).expanduser().absolute()
        if not path.is_file():
            raise FileNotFoundError(f"There is no list of videos {path}.")
        empty = True
        for where, row in _rows_of(path):
            empty = False
            yield path.parent, where, row
        if empty:
            raise ValueError(f"{path} lists no videos.")


def _rows_of(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            names = [*(reader.fieldnames or ())]
            unknown = sorted({*names} - {*NEEDED, *OPTIONAL})
            if unknown or not {*NEEDED} <= {*names}:
                raise ValueError(
                    f"{path}, line 1: the columns are {names}, but expected {', '.join(NEEDED)} "
                    f"and, where needed, {', '.join(OPTIONAL)}."
                )
            for row in reader:
                yield _checked(f"{path}, line {reader.line_num}", row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as CSV in UTF-8: {error}.") from error


def _checked(where: str, row: Mapping[Any, Any]) -> tuple[str, dict[str, str]]:
    if None in row or None in row.values():
        raise ValueError(f"{where}: the row does not have as many values as the header.")
    for name in NEEDED:
        if not row[name]:
            raise ValueError(f"{where}: no {name} is given.")
    return where, dict(row)
