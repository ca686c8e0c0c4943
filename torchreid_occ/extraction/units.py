"""Units of work of an extraction: a batch of tracklets' folders, or a video."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import list_frames
from torchreid_occ.footage import BoxSource, NoTrackletsError, TrackletOptions, add_recording
from torchreid_occ.footage.detectors import HOG, ONNX
from torchreid_occ.footage.recording import RecordingInUseError
from torchreid_occ.search.tracklets import GalleryTracklet, Place, places_with_frames, tracklet_of

BATCH = 64  # tracklets extracted at a time
PATIENCE = 60  # seconds until a process of a machine that failed has surely ended


class FolderUnit(NamedTuple):
    """A batch of tracklets' folders.

    Attributes:
        key: Identifies the unit by its place among others and the names of its frames.
        label: What it is, for messages.
        places: The folders.
    """

    key: str
    label: str
    places: tuple[Place, ...]

    @property
    def is_cut_by_cpu(self) -> bool:
        """Whether it takes a CPU to make the tracklets."""
        return False

    def tracklets(self) -> list[GalleryTracklet]:
        """Lists the tracklets.

        Raises:
            FileNotFoundError: If a folder is gone.
            ValueError: If a manifest is damaged.
        """
        return [tracklet_of(place, list_frames(place.folder)) for place in self.places]


class VideoUnit(NamedTuple):
    """A video out of which people are to be cut.

    Attributes:
        key: Identifies the unit by the name of the recording.
        label: What it is, for messages.
        video: Absolute path of the video.
        footage: Folder of the dataset to which the recording is added.
        source: Where boxes come from.
        options: Which tracks become tracklets.
        name: Name of the recording.
    """

    key: str
    label: str
    video: str
    footage: str
    source: BoxSource
    options: TrackletOptions
    name: str

    @property
    def is_cut_by_cpu(self) -> bool:
        """Whether it takes a CPU to make the tracklets, rather than a detector on a GPU."""
        detector = self.source.detector
        return detector is None or detector == HOG or detector.endswith(ONNX)

    def tracklets(self) -> list[GalleryTracklet]:
        """Cuts the tracklets out of the video, unless that is done, and lists them.

        Returns:
            An empty list if the video shows nobody for long enough.

        Raises:
            FileNotFoundError: If the video or a tracklet is gone.
            FileExistsError: If the dataset has another recording of that name.
            ValueError: If the video or its boxes cannot be read.
        """
        try:
            manifest = self._recording()
        except NoTrackletsError:
            return []
        places = [Place(name, f"{self.footage}/{name}") for name in manifest["tracklets"]]
        return [tracklet_of(place, list_frames(place.folder)) for place in places]

    def _recording(self) -> dict[str, dict[str, object]]:
        """Adds the recording; waits for a process that is adding it, such as one of a dead node."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return add_recording(self.video, self.footage, self.source, self.options, self.name)
            except RecordingInUseError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)


Unit: TypeAlias = FolderUnit | VideoUnit


def folder_units(folders: Sequence[StrPath]) -> list[FolderUnit]:
    """Batches the tracklets at or below folders; each folder of frames comes once.

    Their frames are not kept in memory. Further folders at the end leave the units of earlier ones
    as they are.

    Args:
        folders: The folders.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If a folder holds no images, or two tracklets have one name.
    """
    units: list[FolderUnit] = []
    seen: set[Path] = set()
    names: dict[str, str] = {}
    for folder in folders:
        found = places_with_frames(folder, seen)
        while batch := [*islice(found, BATCH)]:
            for place, _ in batch:
                if names.setdefault(place.name, place.folder) != place.folder:
                    raise ValueError(
                        f"{names[place.name]} and {place.folder} are both named {place.name}: "
                        "rename one of the folders above, or name a folder above both."
                    )
            places = tuple(place for place, _ in batch)
            key = f"tracklets-{len(units):06d}-{_digest(batch)}"
            label = f"{len(places)} tracklets from {places[0].folder} on"
            units.append(FolderUnit(key, label, places))
    return units


def _digest(batch: Iterable[tuple[Place, tuple[str, ...]]]) -> str:
    """Returns a digest of the names of tracklets and of their frames."""
    digest = hashlib.sha256()
    for line in _lines(batch):
        digest.update(os.fsencode(line) + b"\0")
    return digest.hexdigest()[:16]


def _lines(batch: Iterable[tuple[Place, tuple[str, ...]]]) -> Iterator[str]:
    for place, frames in batch:
        yield place.name
        yield from (Path(frame).name for frame in frames)
        yield ""
