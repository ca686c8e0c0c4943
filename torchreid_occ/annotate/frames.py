"""Unique names of the frames of a dataset, and the decoded frames."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from torch.utils.data import Dataset

from torchreid_occ._types import Item
from torchreid_occ.data.images import read_image
from torchreid_occ.data.supervision import frame_name


def name_frames(tracklets: Mapping[str, Sequence[Item]]) -> dict[str, str]:
    """Names all frames of a dataset as :class:`~torchreid_occ.data.supervision.Supervision` does.

    Names are file names if these are unique, else the last parts of the paths, as few as make them
    unique and equally many for all.

    Args:
        tracklets: Tracklets by subset.

    Returns:
        Names by path, in the order of the tracklets.

    Raises:
        ValueError: If two frames differ only in the extension.
    """
    paths = {path: None for items in tracklets.values() for frames, *_ in items for path in frames}
    longest = max(len(Path(path).parts) for path in paths)
    for parts in range(1, longest + 1):
        names = {path: frame_name(path, parts) for path in paths}
        # The folder of a foreground map has no extension.
        if len({Path(name).with_suffix("") for name in names.values()}) == len(names):
            return names
    stems: dict[Path, str] = {}
    for path in paths:
        other = stems.setdefault(Path(path).with_suffix(""), path)
        if other != path:
            raise ValueError(
                f"{other} and {path} differ only in the extension, so their foreground maps would "
                "be one file: rename one."
            )
    raise AssertionError("paths are distinct")


class DecodedFrames(Dataset[Image.Image]):
    """Frames as PIL images.

    Args:
        paths: The image files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image.Image:
        return read_image(self.paths[index])
