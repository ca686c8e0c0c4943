"""Key point lines and foreground maps on disk, in the format RFCnet's authors released."""

import json
import math
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

from torchreid_occ._types import StrPath
from torchreid_occ.data.images import read_image
from torchreid_occ.utils.documents import read_json

FIELDS = ("keypoints", "foreground")
Lines: TypeAlias = list[float | None]  # [shoulder row, hip row, knee row, knee column]


class Supervision:
    """Key points and foreground maps of frames, looked up by the frame's name.

    A frame's name is its file name. Where folders hold frames of the same file names, the last
    parts of their paths are the name: ``cam1/person009/0001.png``, equally many for all.

    Key points are four lines of a frame, as fractions of its height and width: shoulder row, hip
    row, knee row, knee column. Released labels lie outside [0, 1] now and then, which is allowed.

    Args:
        keypoints_path: JSON file ``{frame name: [shoulders, hips, knees, column]}``; ``null`` marks
            unknown values.
        foreground_dir: Folder with ``<frame name without extension>/foreground.png`` per frame.

    Raises:
        FileNotFoundError: If the file or the folder does not exist.
        ValueError: If the JSON has another shape; names the file and the first bad entry.
    """

    def __init__(
        self, keypoints_path: StrPath | None = None, foreground_dir: StrPath | None = None
    ) -> None:
        self._parts: dict[str, int] = {}  # by field, how many parts of a path are the name
        self._rows: dict[str, int] = {}
        self._lines = np.empty((0, 4), np.float32)
        if keypoints_path:
            # One array instead of many small lists, which workers would copy page by page.
            entries = _read_lines(keypoints_path)
            self._rows = {name: row for row, name in enumerate(entries)}
            self._parts["keypoints"] = 1 + next(iter(entries), "").count("/")
            self._lines = np.array(list(entries.values()), np.float32).reshape(-1, 4)
        if foreground_dir and not Path(foreground_dir).is_dir():
            raise FileNotFoundError(
                f'The folder of foreground maps "{foreground_dir}" does not exist.'
            )
        if foreground_dir:
            self._parts["foreground"] = _map_parts(foreground_dir)
        self._foreground_dir = foreground_dir
        self.fields = tuple(field for field in FIELDS if field in self._parts)

    def keypoints(self, img_path: str) -> npt.NDArray[np.float32]:
        """Returns the four lines of a frame, NaN where not known. Shape: ``(4,)``."""
        row = self._rows.get(frame_name(img_path, self._parts.get("keypoints", 1)))
        return np.full(4, np.nan, np.float32) if row is None else self._lines[row]

    def foreground(self, img_path: str) -> Image.Image | None:
        """Reads the grey foreground map of a frame (255: person), or None where there is none."""
        path = self.foreground_path(img_path)
        return None if path is None else read_image(path, "L")

    def foreground_path(self, img_path: str) -> Path | None:
        """Returns the path of a frame's foreground map, or None if there is none."""
        if self._foreground_dir is None:
            return None
        name = frame_name(img_path, self._parts["foreground"])
        path = foreground_path(self._foreground_dir, name)
        return path if path.exists() else None

    def name_of(self, img_path: str) -> str:
        """Returns the name a frame is looked up by; the shorter one if the fields' names differ."""
        return frame_name(img_path, min(self._parts.values(), default=1))

    def has(self, field: str, img_path: str) -> bool:
        """Returns whether a field of a frame is known."""
        if field == "keypoints":
            return not np.isnan(self.keypoints(img_path)).all()
        return self.foreground_path(img_path) is not None


@runtime_checkable
class HasSupervision(Protocol):
    """A dataset that may come with key points or foreground maps."""

    def supervision(self) -> Supervision | None:
        """Returns them, or None."""


def supervision_of(dataset: object) -> Supervision | None:
    """Returns the key points and foreground maps that come with a dataset, or None.

    Args:
        dataset: A dataset of ours or of torchreid's.
    """
    return dataset.supervision() if isinstance(dataset, HasSupervision) else None


def frame_name(img_path: str, parts: int = 1) -> str:
    """Returns the last parts of a frame's path."""
    return "/".join(Path(img_path).parts[-parts:])


def foreground_path(folder: StrPath, name: str) -> Path:
    """Returns the path of a frame's foreground map in a folder of maps."""
    return Path(folder, name).with_suffix("") / "foreground.png"


def _map_parts(folder: StrPath) -> int:
    """Returns how many parts of a path name the maps of a folder; one if it has none yet."""
    first = next(Path(folder).rglob("foreground.png"), None)
    return 1 if first is None else max(1, len(first.parent.relative_to(folder).parts))


def _read_lines(path: StrPath) -> dict[str, Lines]:
    """Reads and checks the JSON file; unknown lines are None."""
    try:
        entries = read_json(path)
    except FileNotFoundError:
        raise FileNotFoundError(f'The key point file "{path}" does not exist.') from None
    if not isinstance(entries, dict):
        raise ValueError(
            f'"{path}" holds a JSON {type(entries).__name__}, but expected an object '
            "{image name: [shoulder row, hip row, knee row, knee column]}."
        )
    for name, lines in entries.items():
        if lines is None:
            entries[name] = [None] * 4
        elif not (isinstance(lines, list) and len(lines) == 4 and all(map(_is_line, lines))):
            raise ValueError(
                f'"{path}": the entry {name!r} is {json.dumps(lines)[:80]}, but expected four '
                "numbers (fractions of the frame, or null) [shoulder row, hip row, knee row, "
                "knee column]."
            )
    return entries


def _is_line(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and not math.isinf(value))
