"""The frames of a dataset and names that tell them apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch.utils.data import Dataset

from torchreid_occ.data.images import read_image
from torchreid_occ.data.supervision import frame_name


def name_frames(tracklets: Mapping[str, Sequence[tuple]]) -> dict[str, str]:
    """Names all frames of a dataset as :class:`~torchreid_occ.data.supervision.Supervision` does.

    File names serve where no two frames share one, else as many last parts of the paths as it
    takes, equally many for all.

    Args:
        tracklets: Tracklets by subset.

    Returns:
        The name of each path, in the order of the tracklets; a frame of several is there once.

    Raises:
        ValueError: If two frames differ in nothing but the extension.
    """
    paths = {path: None for items in tracklets.values() for frames, *_ in items for path in frames}
    longest = max(len(Path(path).parts) for path in paths)
    for parts in range(1, longest + 1):
        names = {path: frame_name(path, parts) for path in paths}
        # The folder of a foreground map has no extension.
        if len({Path(name).with_suffix("") for name in names.values()}) == len(names):
            return names
    stems = {}
    for path in paths:
        other = stems.setdefault(Path(path).with_suffix(""), path)
        if other != path:
            raise ValueError(
                f"{other} and {path} differ in nothing but the extension, so their foreground maps "
                "would be one file: rename one."
            )
    raise AssertionError("paths are distinct")


class Frames(Dataset):
    """Decoded frames, as PIL images.

    Args:
        paths: The image files.
    """

    def __init__(self, paths: Sequence[str]):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return read_image(self.paths[index])
