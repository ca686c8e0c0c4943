"""Poses of people in frames, on disk beside the foreground maps of `torchreid-occ annotate`.

``foreground/<frame>/pose.json`` holds ``{"presence": share, "points": [[x, y, visibility], ...]}``;
the mask of the person is the foreground map in the same folder.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.data.supervision import Supervision, foreground_path, frame_name
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import write_text

FOREGROUND = "foreground"  # folder below that of the supervision
FILE = "pose.json"
_FORM = 'expected {"presence": share, "points": [[x, y, visibility], ...]}'


class Pose(NamedTuple):
    """The person in a frame.

    Attributes:
        presence: How sure the network is that a person is there, 0 to 1.
        points: Key points: x and y as fractions of the frame's width and height, which lie outside
            [0, 1] for what the frame cuts off, and visibility, 0 to 1. Shape `(K, 3)`.
        mask: Visible pixels of the person, 0 or 255; None if the network was too unsure of a
            person. Shape `(H, W)`.
    """

    presence: float
    points: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint8] | None


class Poses:
    """Poses of frames, looked up by the frame's path as `Supervision` does.

    Args:
        folder: Folder that `torchreid-occ annotate --network blazepose` has written.

    Raises:
        FileNotFoundError: If the folder holds no poses.
    """

    def __init__(self, folder: StrPath) -> None:
        self._folder = Path(folder, FOREGROUND)
        first = next(self._folder.rglob(FILE), None)
        if first is None:
            raise FileNotFoundError(
                f"{self._folder} holds no poses: annotate the dataset by a network that finds "
                "poses (BlazePose)."
            )
        self._parts = len(first.parent.relative_to(self._folder).parts)
        self._masks = Supervision(foreground_dir=self._folder)

    def read(self, img_path: str) -> Pose | None:
        """Returns the pose in a frame, or None if the frame was not annotated.

        Args:
            img_path: Path of the frame.

        Raises:
            ValueError: If the file of the pose holds something else.
        """
        path = pose_path(self._folder, frame_name(img_path, self._parts))
        if not path.exists():
            return None
        mask = self._masks.foreground(img_path)
        return read_pose(path)._replace(mask=None if mask is None else np.asarray(mask, np.uint8))


def read_pose(path: StrPath) -> Pose:
    """Reads a file that `write_pose` wrote; the mask is left None.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.
    """
    content = read_json(path)
    try:
        presence = float(content["presence"])
        points = np.array(content["points"], np.float32).reshape(-1, 3)
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ValueError(
            f'"{path}" is no pose ({type(error).__name__}: {error}): {_FORM}.'
        ) from error
    if not (0 <= presence <= 1 and np.isfinite(points).all()):
        raise ValueError(f'"{path}" is no pose, as numbers in it are no shares: {_FORM}.')
    return Pose(presence, points, None)


def pose_path(folder: StrPath, name: str) -> Path:
    """Returns the path of a frame's pose.

    Args:
        folder: Folder of the foreground maps.
        name: Name of the frame.
    """
    return foreground_path(folder, name).with_name(FILE)


def write_pose(path: StrPath, pose: Pose) -> None:
    """Writes a pose without its mask, atomically.

    Args:
        path: The file.
        pose: The pose.
    """
    points = [[round(value, 4) for value in point] for point in pose.points.tolist()]
    content = {"presence": round(pose.presence, 4), "points": points}
    write_text(path, json.dumps(content) + "\n")
