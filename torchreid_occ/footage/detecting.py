"""The boxes of each frame while a video is read: those that are known, else those of a detector."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from torchreid_occ.footage.boxes import (
    Boxes,
    NoTrackletsError,
    boxes_from_lines,
    boxes_from_rows,
    mot_line,
    read_mot,
)
from torchreid_occ.footage.detectors import Detector, batch_size, detect_batch
from torchreid_occ.footage.reading import Frame
from torchreid_occ.footage.video import Video
from torchreid_occ.utils.files import write_text


class KnownBoxes:
    """Boxes of a file.

    Args:
        boxes: The boxes.

    Attributes:
        first: Number of the first frame in which people are to be detected.
    """

    first: float = math.inf

    def __init__(self, boxes: Boxes) -> None:
        self._known = boxes

    def in_frame(self, number: int) -> Boxes:
        """Returns the known boxes of a frame.

        Args:
            number: Number of the frame.
        """
        begin, end = np.searchsorted(self._known.frame, (number, number + 1))
        return self._known[begin:end]

    def find(
        self, frames: Iterable[tuple[int, Frame | None]]
    ) -> Iterator[tuple[int, Frame | None, Boxes]]:
        """Yields frames with their boxes.

        Args:
            frames: Numbers and pixels, which are only needed from `first` on.
        """
        for number, pixels in frames:
            yield number, pixels, self.in_frame(number)

    def all(self, video: Video) -> Boxes:
        """Returns the boxes of the whole video.

        Args:
            video: The video.
        """
        return self._known


class DetectedBoxes(KnownBoxes):
    """Boxes of a detector, written to a file as they are found.

    Args:
        detector: The detector.
        path: File of detections in MOTChallenge's format. What an interrupted run of the same
            detector wrote there is known, and detection continues after it.
    """

    def __init__(self, detector: Detector, path: Path) -> None:
        self.first = _drop_last_frame(path)
        super().__init__(read_mot(path) if path.stat().st_size else boxes_from_rows([]))
        self._detector, self._path = detector, path

    def find(
        self, frames: Iterable[tuple[int, Frame | None]]
    ) -> Iterator[tuple[int, Frame | None, Boxes]]:
        """Yields frames with their boxes, as they are read again from the file.

        Args:
            frames: Numbers and pixels, which are only needed from `first` on.
        """
        batch: list[tuple[int, Frame]] = []
        with self._path.open("a", encoding="utf-8") as file:
            for number, pixels in frames:
                if number < self.first:
                    yield number, pixels, self.in_frame(number)
                    continue
                assert pixels is not None
                batch.append((number, pixels))
                if len(batch) == batch_size(self._detector):
                    yield from self._detect(batch, file)
                    batch = []
            yield from self._detect(batch, file)

    def all(self, video: Video) -> Boxes:
        """Returns the boxes of the whole video, after `find` gave those of all frames.

        Args:
            video: The video.

        Raises:
            NoTrackletsError: If no person was found.
        """
        if not self._path.stat().st_size:
            raise NoTrackletsError(
                f"No person was found in any of the {len(video.times)} frames of {video.path}."
            )
        return read_mot(self._path)

    def _detect(
        self, batch: list[tuple[int, Frame]], file: IO[str]
    ) -> Iterator[tuple[int, Frame, Boxes]]:
        found = detect_batch(self._detector, [pixels for _, pixels in batch])
        for (number, pixels), (corners, scores) in zip(batch, found, strict=True):
            lines = [mot_line(number, *box) for box in zip(corners, scores, strict=True)]
            file.writelines(lines)
            file.flush()
            yield number, pixels, boxes_from_lines(lines)


def _drop_last_frame(path: Path) -> int:
    """Removes the last frame of a file, which may be incomplete, and returns its number."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    if not lines or not lines[-1].endswith("\n"):
        lines = lines[:-1]  # the frame number of an incomplete line may be incomplete, too
    if not lines:
        write_text(path, "")
        return 1
    last = lines[-1].partition(",")[0]
    write_text(path, "".join(line for line in lines if line.partition(",")[0] != last))
    return int(last)
