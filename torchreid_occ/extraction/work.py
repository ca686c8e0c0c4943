"""Extracts a unit: makes its tracklets, computes their features and writes its part.

Processes of one machine and of many do the same work by this module.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch

from torchreid_occ.extraction.units import BATCH, Unit
from torchreid_occ.extractor import TrackletExtractor
from torchreid_occ.search.contents import recorded
from torchreid_occ.search.parquet import arrow_modules, write_feature_table
from torchreid_occ.search.tracklets import GalleryTracklet

SUFFIX = ".parquet"
PLAN = "_plan.json"  # readers of folders of Parquet files skip names with an underscore


class Settings(NamedTuple):
    """What processes that extract have in common.

    Attributes:
        folder: Absolute path of the folder of the parts.
        checkpoint: Absolute path of the checkpoint.
        checkpoint_hash: Its hash; empty if it is not known yet.
        threads: Threads that compute on a CPU; features depend on their number in the last digits.
        batch_size: See `TrackletExtractor`.
        workers: See `TrackletExtractor`.
        backend: Likewise.
        precision: Likewise.
        use_gpu: See `TrackletExtractor`.
    """

    folder: str
    checkpoint: str
    checkpoint_hash: str
    threads: int
    batch_size: int | None = None
    workers: int | None = None
    backend: str | None = None
    precision: str | None = None
    use_gpu: bool | None = None


class Outcome(NamedTuple):
    """What came of a unit.

    Attributes:
        label: What the unit is.
        tracklets: Number of tracklets of its part.
        error: Why it has no part; empty if it has.
    """

    label: str
    tracklets: int
    error: str


def part_of(folder: str, unit: Unit) -> Path:
    """Returns the file of a unit's part, which is there once the unit is done.

    Args:
        folder: Folder of the parts.
        unit: The unit.
    """
    return Path(folder) / f"{unit.key}{SUFFIX}"


def set_threads(count: int) -> None:
    """Sets the number of threads in which PyTorch, OpenCV and, later, onnxruntime compute.

    Args:
        count: The number.
    """
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Sets the number of threads for a while, see `set_threads`.

    Args:
        count: The number; None leaves it.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    if count is not None:
        set_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


class UnitExtractor:
    """Extracts units, one after another, on one device.

    The caller sets the number of threads.

    Args:
        settings: The settings.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it is damaged, or another one than that of the settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.extractor = TrackletExtractor(
            settings.checkpoint,
            use_gpu=settings.use_gpu,
            batch_size=settings.batch_size,
            workers=settings.workers,
            backend=settings.backend,
            precision=settings.precision,
        )
        if settings.checkpoint_hash not in ("", self.extractor.checkpoint_hash):
            raise ValueError(
                f"{settings.checkpoint} is another file here than where the extraction began."
            )

    def __call__(self, unit: Unit) -> Outcome:
        """Extracts a unit, unless its part is there.

        Args:
            unit: The unit.

        Returns:
            What came of it; files that are missing or cannot be read are an error of this unit
            alone.
        """
        part = part_of(self.settings.folder, unit)
        if part.exists():  # a machine failed after it had written this
            _, parquet = arrow_modules()
            return Outcome(unit.label, parquet.read_metadata(part).num_rows, "")
        try:
            tracklets = unit.tracklets()
            about = {
                "checkpoint_hash": self.extractor.checkpoint_hash,
                "precisions": [self.extractor.precision],
                "unit": unit.key,
            }
            blocks = self._blocks(tracklets)
            write_feature_table(part, blocks, self.extractor.feature_dim, about)
        except (ValueError, FileExistsError, FileNotFoundError) as error:
            return Outcome(unit.label, 0, describe(error))
        return Outcome(unit.label, len(tracklets), "")

    def _blocks(
        self, tracklets: list[GalleryTracklet]
    ) -> Iterator[tuple[list[GalleryTracklet], npt.NDArray[np.float32]]]:
        for start in range(0, len(tracklets), BATCH):
            batch = [recorded(one) for one in tracklets[start : start + BATCH]]
            yield batch, self.extractor([one.frames for one in batch]).numpy()


def describe(error: Exception) -> str:
    """Returns the message of an error; of one from a process that reads frames, its own.

    Args:
        error: The error.
    """
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[-1] if "Original Traceback" in text else text


def cut(unit: Unit) -> str:
    """Makes the tracklets of a unit ahead of their extraction.

    Args:
        unit: The unit.

    Returns:
        Why that is not possible; empty if it is done.
    """
    try:
        unit.tracklets()
    except (ValueError, FileExistsError, FileNotFoundError) as error:
        return describe(error)
    return ""
