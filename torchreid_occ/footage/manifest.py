"""Reads what the manifest of a recording tells of a tracklet: video, frames, times and boxes."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from torchreid_occ.utils.documents import read_json

RECORDINGS, MOMENTS = "recordings", "moments"  # in the dataset; after a recording's name, there
WHOLE_FRAME = ".webp"  # no suffix of a tracklet's frames, so that none are looked for there

Recording: TypeAlias = tuple[Path, str]  # the folder of its dataset, and its name


class RecordedTracklet(NamedTuple):
    """A tracklet in its video.

    Attributes:
        dataset: Folder of the dataset; another may have a recording of the same name.
        recording: Name of the recording.
        video: Path of the video when it was cut, or only its name, if an earlier version cut it.
        video_frames: Number of the video's frames.
        frames: Numbers of the tracklet's, counted from 1.
        seconds: Their times in the video.
        boxes: Left, top, width and height of the person in them, in pixels.
        size: Width and height of the video's frames.
        picture: File with a whole frame of the video; None if there is none.
        pictured: The number of that frame.
    """

    dataset: Path
    recording: str
    video: str
    video_frames: int
    frames: list[int]
    seconds: list[float]
    boxes: list[list[float]]
    size: tuple[int, int]
    picture: Path | None
    pictured: int


def middle(frames: Sequence[int] | npt.NDArray[np.int64]) -> int:
    """Returns the number of the frame of a tracklet of which the whole picture is kept.

    Args:
        frames: The numbers of its frames.
    """
    return int(frames[len(frames) // 2])


def check_names(recordings: Iterable[Recording]) -> None:
    """Checks that recordings differ by their names alone, of which files or times are to be made.

    Args:
        recordings: Folder of the dataset and name of each.

    Raises:
        ValueError: If two share a name; says in which datasets they are.
    """
    first: dict[str, Path] = {}
    for dataset, name in recordings:
        before = first.setdefault(name, dataset)
        if before != dataset:
            raise ValueError(
                f"Two recordings are named {name}, one in {before} and one in {dataset}: index "
                "each dataset into a gallery of its own, or cut one of them again under another "
                "name."
            )


def recorded_tracklet(folder: Path) -> RecordedTracklet | None:
    """Returns a tracklet of a recording; None if a folder is none.

    The folder may have been moved to another person, as when tracklets are merged.

    Args:
        folder: The tracklet's folder, ``<dataset>/gallery/<person>/<camera>_<recording>_<track>``.

    Raises:
        ValueError: If the manifest is damaged.
    """
    named = re.fullmatch(r"\d+_((.+)_\d{4,})", folder.name, re.DOTALL)
    if named is None or len(folder.parents) < 3:
        return None
    recordings = folder.parents[2] / RECORDINGS
    file = recordings / f"{named[2]}.json"
    if not file.is_file():
        return None
    try:
        manifest = _tracklets_by_name(file, file.stat().st_mtime_ns)
        where = manifest["tracklets"].get(folder.name)
        if where is None:
            return None
        boxes = where["boxes"]
        if "box" not in manifest:  # 0.1.0 wrote corners
            boxes = [[left, top, right - left, low - top] for left, top, right, low in boxes]
        picture = recordings / f"{named[2]}.{MOMENTS}" / f"{named[1]}{WHOLE_FRAME}"
        return RecordedTracklet(
            dataset=folder.parents[2],
            recording=named[2],
            video=manifest.get("path", manifest["file"]),
            video_frames=manifest["frames"],
            frames=where["frames"],
            seconds=where["seconds"],
            boxes=boxes,
            size=tuple(manifest["size"]),
            picture=picture if picture.is_file() else None,
            pictured=middle(where["frames"]),
        )
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{file} is no manifest of a recording: {error!r}.") from error


@lru_cache(maxsize=64)
def _tracklets_by_name(file: Path, _changed: int) -> dict[str, Any]:
    """Reads a manifest, whose tracklets are named by their own folders alone."""
    manifest: dict[str, Any] = read_json(file)
    own = {Path(folder).name: where for folder, where in manifest["tracklets"].items()}
    return {**manifest, "tracklets": own}
