"""Sorts a folder of named frames into train, query and gallery, as a `tracklet_folder` dataset.

Three ways of naming are known: MARS's, Market-1501's (which CVAT exports), and folders by person
and camera.
"""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import list_frames, natural_key, subfolders
from torchreid_occ.utils.files import write_text

FILE = "tracklets.csv"
# Names of files without their suffix; what they tell of a tracklet.
LAYOUTS = {
    "MARS": re.compile(r"(?P<person>\d{4}|00-1)C(?P<camera>\d)T(?P<tracklet>\d{4})F\d{3,}"),
    "Market-1501": re.compile(r"(?P<person>-1|\d+)_c(?P<camera>\d+)s(?P<tracklet>\d+)_\d+(_\d+)?"),
}
FOLDERS = "folders"  # <person>/<camera> or <camera>_<anything>, then the frames
JUNK = ("00-1", "-1")  # people that MARS and Market-1501 give to false detections
# A folder by one of these names, or beginning so, holds a subset.
_SUBSETS = {"train": "train", "bbox_train": "train", "bounding_box_train": "train"} | {
    "query": "query", "gallery": "gallery", "bbox_test": "gallery", "bounding_box_test": "gallery",
}  # fmt: skip


class SortedTracklet(NamedTuple):
    """A tracklet that was found.

    Attributes:
        frames: Paths of its frames in temporal order.
        person: Name of the person.
        camera: Number of the camera.
        name: What tells it from other tracklets of the person by the camera.
        subset: 'train', 'query' or 'gallery', if its folder says so, else empty.
    """

    frames: tuple[str, ...]
    person: str
    camera: int
    name: str
    subset: str


class Sorting(NamedTuple):
    """What `sort_folder` found and wrote.

    Attributes:
        file: The file of tracklets.
        layout: How the frames are named, a key of `LAYOUTS` or `FOLDERS`.
        tracklets: Numbers of tracklets by subset.
        persons: Numbers of persons in training and in test.
        junk: Number of frames of false detections, which were left out.
        drawn: Whether the test persons were drawn; otherwise the folders named them.
    """

    file: Path
    layout: str
    tracklets: dict[str, int]
    persons: tuple[int, int]
    junk: int
    drawn: bool


def sort_folder(
    folder: StrPath, out: StrPath | None = None, test_share: float = 0.5, seed: int = 0
) -> Sorting:
    """Writes ``tracklets.csv``, which makes a folder of frames a `tracklet_folder` dataset.

    Frames stay where they are. If folders named ``train``, ``query`` and ``gallery``, or as in MARS
    and Market-1501, hold all of them, these are the subsets. Else a share of the persons whom
    several cameras see is drawn for the test: of each of them a tracklet of each camera is a query,
    and all are in the gallery. The other persons are for training.

    Args:
        folder: The folder.
        out: Folder of the file, which will be ``data.root``; the folder itself if None.
        test_share: Share of the persons whom several cameras see that is for the test.
        seed: Seed of the draw.

    Raises:
        FileNotFoundError: If there is no such folder.
        FileExistsError: If the file is there already.
        ValueError: If frames are named in none of the ways or in several, or if too few persons are
            seen by several cameras.
    """
    folder = Path(folder).expanduser().absolute()
    file = (Path(out).expanduser().absolute() if out is not None else folder) / FILE
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    if file.exists():
        raise FileExistsError(f"{file} is there already: remove it to sort anew.")
    if not 0 < test_share < 1:
        raise ValueError(f"test_share is {test_share}, but must lie between 0 and 1.")
    layout, found = _find(folder)
    kept = [one for one in found if one.person not in JUNK]
    junk = sum(len(one.frames) for one in found) - sum(len(one.frames) for one in kept)
    named = {one.subset for one in kept}
    drawn = named != {"train", "query", "gallery"}
    rows = _drawn(kept, test_share, seed) if drawn else _as_named(kept)
    write_text(file, _as_csv(rows, file.parent))
    persons = [{one.person for one in rows[subset]} for subset in ("train", "query")]
    return Sorting(
        file=file,
        layout=layout,
        tracklets={subset: len(rows[subset]) for subset in ("train", "query", "gallery")},
        persons=(len(persons[0]), len(persons[1])),
        junk=junk,
        drawn=drawn,
    )


def _find(folder: Path) -> tuple[str, list[SortedTracklet]]:
    """Finds the tracklets of a folder, and how they are named."""
    tracklets: dict[tuple[str, ...], list[str]] = {}
    layouts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for own, frames in _folders_with_frames(folder):
        subset = _subset_of(own.relative_to(folder))
        for frame in frames:
            layout, key = _parsed(own, Path(frame), folder)
            layouts[layout] += 1
            examples.setdefault(layout, frame)
            tracklets.setdefault((subset, *key), []).append(frame)
    if not layouts:
        raise ValueError(f"No folder at or below {folder} holds images.")
    if "" in examples or len(layouts) > 1:
        known = [f"{name or 'none'}: {path}" for name, path in examples.items()]
        raise ValueError(
            f"The frames below {folder} are not all named in one way ({'; '.join(known)}): "
            "expected names as 0001C1T0001F001.jpg (MARS) or 0001_c1s1_000151_00.jpg "
            "(Market-1501, as CVAT exports it), or folders person/camera/frames, where the camera "
            "is a number, alone or before an underscore."
        )
    (layout,) = layouts
    return layout, [
        SortedTracklet(tuple(frames), person, int(camera), name, subset)
        for (subset, person, camera, name), frames in tracklets.items()
    ]


def _folders_with_frames(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    if frames := list_frames(folder):
        yield folder, frames
    for below in subfolders(folder):
        yield from _folders_with_frames(below)


def _parsed(own: Path, frame: Path, top: Path) -> tuple[str, tuple[str, str, str]]:
    """Returns the layout of a frame and its person, camera and tracklet."""
    for layout, pattern in LAYOUTS.items():
        if named := pattern.fullmatch(frame.stem):
            return layout, (named["person"], named["camera"], named["tracklet"])
    camera = re.fullmatch(r"(\d+)(_.*)?", own.name, re.DOTALL)
    if camera is None or top not in own.parent.parents:
        return "", ("", "", "")
    return FOLDERS, (own.parent.name, camera[1], own.relative_to(top).as_posix())


def _subset_of(path: Path) -> str:
    return next((_SUBSETS[part] for part in path.parts if part in _SUBSETS), "")


def _drawn(
    tracklets: Sequence[SortedTracklet], test_share: float, seed: int
) -> dict[str, list[SortedTracklet]]:
    """Draws persons for the test from those whom several cameras see."""
    cameras: dict[str, set[int]] = {}
    for one in tracklets:
        cameras.setdefault(one.person, set()).add(one.camera)
    shared = sorted((p for p, seen in cameras.items() if len(seen) > 1), key=natural_key)
    count = round(test_share * len(shared))
    if not 2 <= count < len(cameras):
        raise ValueError(
            f"Of {len(cameras)} persons, {len(shared)} are seen by several cameras, of whom a "
            f"share of {test_share:g} is {count}: at least 2 are needed for the test, and others "
            "for training."
        )
    chosen = np.random.default_rng(seed).permutation(len(shared))[:count]
    test = {shared[place] for place in chosen}
    gallery = [one for one in tracklets if one.person in test]
    query = {(one.person, one.camera): one for one in reversed(gallery)}
    return {
        "train": [one for one in tracklets if one.person not in test],
        "query": [*reversed(query.values())],
        "gallery": gallery,
    }


def _as_named(tracklets: Sequence[SortedTracklet]) -> dict[str, list[SortedTracklet]]:
    return {
        subset: [one for one in tracklets if one.subset == subset]
        for subset in ("train", "query", "gallery")
    }


def _as_csv(rows: Mapping[str, Sequence[SortedTracklet]], folder: Path) -> str:
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(("path", "pid", "camid", "split", "tracklet"))
    for subset, tracklets in rows.items():
        for one in tracklets:
            for frame in one.frames:
                path = Path(os.path.relpath(frame, folder)).as_posix()
                writer.writerow((path, one.person, one.camera, subset, one.name))
    return content.getvalue()
