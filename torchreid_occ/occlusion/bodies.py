"""Whole masks of the people of a dataset, of every frame."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from torchreid_occ._types import StrPath
from torchreid_occ.data.images import read_image
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.utils.documents import read_json_lines

# Lines of a person of whom none are known: shoulder, hip and knee rows and knee column.
STANDING = np.array([0.2, 0.5, 0.75, 0.5], np.float32)
PERSON = 128  # lowest grey level of a mask that shows the person


class CopiedSupervision(Supervision):
    """Key points and masks of a copy's frames, which it takes from the source.

    Args:
        source: Key points and whole masks of the source's frames.
        originals: Path of the source's frame by path of the copy's.
        visible: Path of the mask of what is seen, by path of the copy's frame; empty for masks of
            the whole person.

    Attributes:
        source: As given.
    """

    def __init__(
        self, source: Supervision, originals: Mapping[str, str], visible: Mapping[str, Path]
    ) -> None:
        super().__init__()
        self.fields = source.fields
        self.source, self._originals, self._visible = source, originals, visible

    def keypoints(self, img_path: str) -> npt.NDArray[np.float32]:
        """Returns the four lines of a frame, NaN where not known. Shape: ``(4,)``."""
        return self.source.keypoints(self.original(img_path))

    def foreground_path(self, img_path: str) -> Path | None:
        """Returns the path of a frame's map; None if the source has none."""
        found = self.source.foreground_path(self.original(img_path))
        return None if found is None else self._visible.get(img_path, found)

    def name_of(self, img_path: str) -> str:
        """Returns the name that the source's frame is looked up by."""
        return self.source.name_of(self.original(img_path))

    def original(self, img_path: str) -> str:
        """Returns the path of the source's frame."""
        return self._originals.get(img_path, img_path)


class BodyMasks(CopiedSupervision):
    """Key points and masks of every frame of a copy, for what needs them of all frames.

    A frame of which the source does not know them has those of the nearest frame of its tracklet of
    which it does; if there is none, an upright ellipse and a standing person's proportions.

    Args:
        source: Key points and whole masks of the source's frames.
        tracklets: Paths of the frames of each of the source's tracklets.
        originals: Path of the source's frame by path of the copy's.
        visible: Path of the mask of what is seen, by path of the copy's frame; empty for masks of
            the whole person.
    """

    def __init__(
        self,
        source: Supervision,
        tracklets: Iterable[Sequence[str]],
        originals: Mapping[str, str],
        visible: Mapping[str, Path],
    ) -> None:
        super().__init__(source, originals, visible)
        self._tracklet_of = {path: paths for paths in tracklets for path in paths}

    def keypoints(self, img_path: str) -> npt.NDArray[np.float32]:
        """Returns the four lines of a frame. Shape: ``(4,)``."""
        lines = np.full(4, np.nan, np.float32)
        for path in self._nearest(img_path):
            lines = np.where(np.isnan(lines), self.source.keypoints(path), lines)
            if np.isfinite(lines).all():
                return lines
        return np.where(np.isnan(lines), STANDING, lines)

    def foreground(self, img_path: str) -> Image.Image:
        """Reads the grey map of a frame (255: person)."""
        found = super().foreground(img_path)
        return found or upright_ellipse(read_image(img_path).size)

    def foreground_path(self, img_path: str) -> Path | None:
        """Returns the path of a frame's map; None if no frame of its tracklet has one."""
        if img_path in self._visible:
            return self._visible[img_path]
        found = map(self.source.foreground_path, self._nearest(img_path))
        return next((path for path in found if path is not None), None)

    def _nearest(self, img_path: str) -> Iterator[str]:
        """Yields the source's frames of a tracklet, the nearest first."""
        path = self.original(img_path)
        yield path
        paths = self._tracklet_of.get(path, (path,))
        place = paths.index(path)
        yield from (paths[n] for n in sorted(range(len(paths)), key=lambda n: abs(n - place))[1:])


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


def read_scores(masks_folder: StrPath) -> dict[str, float | None]:
    """Returns how sure `torchreid-occ annotate` is of the person in each frame, by frame's name.

    Args:
        masks_folder: The folder that it wrote; without its journal nothing is known.

    Raises:
        ValueError: If the journal holds something else.
    """
    path = Path(masks_folder) / "frames.jsonl"
    if not masks_folder or not path.is_file():
        return {}
    records = read_json_lines(path)
    if not all(isinstance(record, dict) and {"frame", "score"} <= {*record} for record in records):
        raise ValueError(
            f'{path} is no journal of frames: expected {{"frame": ..., "score": ...}}.'
        )
    return {record["frame"]: record["score"] for record in records}
