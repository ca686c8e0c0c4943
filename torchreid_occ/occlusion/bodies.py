"""Whole masks of the people of a dataset, of every frame."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from torchreid_occ.data.images import read_image
from torchreid_occ.data.supervision import Supervision


class BodyMasks(Supervision):
    """Key points and masks of an occluded copy's frames, which it takes from the source.

    A frame of which the source has no mask has that of the nearest frame of its tracklet that has
    one, and an upright ellipse if none has.

    Args:
        source: Key points and whole masks of the source's frames.
        tracklets: Paths of the frames of each of the source's tracklets.
        originals: Path of the source's frame by path of the copy's.
        visible: Path of the mask of what is seen, by path of the copy's frame; empty for masks of
            the whole person.

    Attributes:
        source: As given.
    """

    def __init__(
        self,
        source: Supervision,
        tracklets: Iterable[Sequence[str]],
        originals: Mapping[str, str],
        visible: Mapping[str, Path],
    ) -> None:
        super().__init__()
        self.fields = source.fields
        self.source, self._originals, self._visible = source, originals, visible
        self._tracklet_of = {path: paths for paths in tracklets for path in paths}

    def keypoints(self, img_path: str) -> npt.NDArray[np.float32]:
        """Returns the four lines of a frame, NaN where not known. Shape: ``(4,)``."""
        return self.source.keypoints(self._original(img_path))

    def foreground(self, img_path: str) -> Image.Image:
        """Reads the grey map of a frame (255: person)."""
        found = super().foreground(img_path)
        return found or upright_ellipse(read_image(img_path).size)

    def foreground_path(self, img_path: str) -> Path | None:
        """Returns the path of a frame's map; None if no frame of its tracklet has one."""
        visible = self._visible.get(img_path)
        return visible or self._nearest(self._original(img_path))

    def name_of(self, img_path: str) -> str:
        """Returns the name that the source's frame is looked up by."""
        return self.source.name_of(self._original(img_path))

    def _original(self, img_path: str) -> str:
        return self._originals.get(img_path, img_path)

    def _nearest(self, path: str) -> Path | None:
        found = self.source.foreground_path(path)
        paths = self._tracklet_of.get(path, ())
        if found is not None or not paths:
            return found
        place = paths.index(path)
        nearest = sorted(range(len(paths)), key=lambda number: abs(number - place))
        found_there = (self.source.foreground_path(paths[number]) for number in nearest)
        return next((found for found in found_there if found is not None), None)


def upright_ellipse(size: tuple[int, int]) -> Image.Image:
    """Returns the mask that stands for a person of whom none is known.

    Args:
        size: Width and height of the frame.
    """
    width, height = size
    columns = (2 * np.arange(width) + 1 - width) / (0.6 * width)
    rows = (2 * np.arange(height) + 1 - height) / (0.94 * height)
    inside = columns[None] ** 2 + rows[:, None] ** 2 <= 1
    return Image.fromarray(inside.astype(np.uint8) * 255)
