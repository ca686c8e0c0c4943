"""Key point lines and foreground maps on disk, in the format RFCnet's authors released."""

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

from torchreid_occ.data.images import read_image

FIELDS = ("keypoints", "foreground")


class Supervision:
    """What is known about frames beside their identity, looked up by the frame's name.

    A frame's name is its file name. Where folders hold frames of the same file names, the last
    parts of their paths take its place: ``cam1/person009/0001.png``, equally many for all.

    Key points are four lines of a frame, as fractions of its height and width: shoulder row, hip
    row, knee row, knee column. Released labels lie outside [0, 1] now and then, which is allowed.

    Args:
        keypoints_path: JSON file ``{frame name: [shoulders, hips, knees, column]}``; ``null`` marks
            what is not known.
        foreground_dir: Folder with ``<frame name without extension>/foreground.png`` per frame.

    Raises:
        FileNotFoundError: If the file or the folder does not exist.
        ValueError: If the JSON has another shape; names the file and the first bad entry.
    """

    def __init__(self, keypoints_path: str | None = None, foreground_dir: str | None = None):
        self._parts = {}  # of a path that name a frame
        self._rows = {}
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

    def keypoints(self, img_path: str) -> np.ndarray:
        """The four lines of a frame, NaN where not known. Shape: ``(4,)``."""
        row = self._rows.get(frame_name(img_path, self._parts.get("keypoints", 1)))
        return np.full(4, np.nan, np.float32) if row is None else self._lines[row]

    def foreground(self, img_path: str) -> Image.Image | None:
        """The grey foreground map of a frame (255: person), or None where there is none."""
        path = self.foreground_path(img_path)
        return None if path is None else read_image(path, "L")

    def foreground_path(self, img_path: str) -> Path | None:
        """Where the foreground map of a frame is, or None where there is none."""
        if self._foreground_dir is None:
            return None
        name = frame_name(img_path, self._parts["foreground"])
        path = foreground_path(self._foreground_dir, name)
        return path if path.exists() else None

    def name_of(self, img_path: str) -> str:
        """What a frame is looked up by, the shorter name if there are two."""
        return frame_name(img_path, min(self._parts.values(), default=1))

    def has(self, field: str, img_path: str) -> bool:
        """Whether anything is known of a frame."""
        if field == "keypoints":
            return not np.isnan(self.keypoints(img_path)).all()
        return self.foreground_path(img_path) is not None


def frame_name(img_path: str, parts: int = 1) -> str:
    """The last parts of a frame's path."""
    return "/".join(Path(img_path).parts[-parts:])


def foreground_path(folder: str | Path, name: str) -> Path:
    """Where the foreground map of a frame belongs below a folder of them."""
    return Path(folder, name).with_suffix("") / "foreground.png"


def _map_parts(folder):
    """How many parts of a path name a folder's maps; one where there are none yet."""
    first = next(Path(folder).rglob("foreground.png"), None)
    return 1 if first is None else max(1, len(first.parent.relative_to(folder).parts))


def _read_lines(path):
    """Reads and checks the JSON file; unknown lines come back as None."""
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f'The key point file "{path}" does not exist.') from None
    except ValueError as error:  # broken JSON and broken UTF-8 alike
        raise ValueError(f'Cannot read "{path}" as JSON: {error}.') from error
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


def _is_line(value):
    return value is None or (type(value) in (int, float) and not math.isinf(value))
