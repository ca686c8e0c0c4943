"""Tracklets to index: their names, frames, cameras and times."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import list_frames, subfolders
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.footage.manifest import recorded_tracklet


class GalleryTracklet(NamedTuple):
    """A tracklet of a gallery.

    Attributes:
        name: Name, unique in the gallery.
        frames: Absolute paths in temporal order.
        camera: Number of the camera, if known.
        start: Time of the first frame in seconds of the recording, if known.
        end: Time of the last frame, likewise.
        stamp: Digest of the sizes and times of the files when they were indexed, if recorded; empty
            if only the content is known.
        content: Digest of what they held.
    """

    name: str
    frames: tuple[str, ...]
    camera: int | None = None
    start: float | None = None
    end: float | None = None
    stamp: str | None = None
    content: str | None = None


def list_tracklets(
    folders: Sequence[StrPath] = (),
    dataset: str | None = None,
    *,
    root: str = "",
    subset: str = "gallery",
    split_id: int = 0,
    camera: int | None = None,
) -> list[GalleryTracklet]:
    """Lists the tracklets of folders or of a dataset.

    Args:
        folders: See `tracklets_in`.
        dataset: Name of a dataset, see `tracklets_of_dataset`.
        root: Folder that holds the datasets.
        subset: 'train', 'query' or 'gallery'.
        split_id: Split of the dataset.
        camera: Camera of all tracklets in the folders.

    Raises:
        ValueError: If both folders and a dataset are given, or neither, or a camera of a dataset.
    """
    if bool(folders) == bool(dataset):
        raise ValueError("Name either folders of tracklets or a dataset.")
    if dataset is None:
        return [one for folder in folders for one in tracklets_in(folder, camera)]
    if camera is not None:
        raise ValueError("A camera can be given for folders only: a dataset knows its cameras.")
    return tracklets_of_dataset(dataset, root, subset, split_id)


def tracklets_in(folder: StrPath, camera: int | None = None) -> list[GalleryTracklet]:
    """Lists a tracklet for each folder with images at or below a folder, in natural order.

    Names begin with the name of the folder: ``gallery/anna/3_morning``. The times of tracklets
    that `torchreid_occ.footage.add_recording` made are known.

    Args:
        folder: The folder.
        camera: Camera of all tracklets. If None, it is read from folders that are named as in a
            ``tracklet_folder`` dataset, ``3`` or ``3_morning``.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If no folder has images, or the manifest of a recording is damaged.
    """
    return [
        tracklet_of(place, frames, camera) for place, frames in places_with_frames(folder, set())
    ]


class Place(NamedTuple):
    """Where a tracklet's frames are.

    Attributes:
        name: Name of the tracklet.
        folder: Absolute path of the folder.
    """

    name: str
    folder: str


def places_with_frames(folder: StrPath, seen: set[Path]) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """Yields each folder with images at or below a folder, and its frames, in natural order.

    Args:
        folder: The folder.
        seen: Folders to leave out, links resolved; those that are visited are added.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If folders are visited and none has images.
    """
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    empty, before = True, len(seen)
    for own, frames in _folders_with_frames(folder, seen):
        empty = False
        yield Place(own.relative_to(folder.parent).as_posix(), str(own)), frames
    if empty and len(seen) > before:
        raise ValueError(f"No folder at or below {folder} holds images.")


def tracklet_of(
    place: Place, frames: tuple[str, ...], camera: int | None = None
) -> GalleryTracklet:
    """Returns the tracklet of a folder.

    Args:
        place: The folder.
        frames: Its frames.
        camera: See `tracklets_in`.

    Raises:
        ValueError: If the manifest of its recording is damaged.
    """
    own = Path(place.folder)
    numbered = re.fullmatch(r"(\d+)(_.*)?", own.name, re.DOTALL)
    of_folder = int(numbered.group(1)) if numbered else None
    where = recorded_tracklet(own)
    start, end = (where.seconds[0], where.seconds[-1]) if where else (None, None)
    return GalleryTracklet(place.name, frames, of_folder if camera is None else camera, start, end)


def tracklets_of_dataset(
    name: str, root: str, subset: str = "gallery", split_id: int = 0
) -> list[GalleryTracklet]:
    """Lists the tracklets of a subset of a dataset.

    They are named by the folders of their frames, or by their first frames where tracklets share
    folders.

    Args:
        name: Name of the dataset.
        root: Folder that holds the datasets.
        subset: 'train', 'query' or 'gallery'.
        split_id: Split of the dataset.
    """
    dataset = load_dataset(name, root, split_id)
    items = tracklets_of(dataset)[subset]
    folders = [str(Path(frames[0]).parent) for frames, *_ in items]
    named_by = folders
    if len(set(folders)) < len(folders):
        named_by = [frames[0] for frames, *_ in items]
    return [
        GalleryTracklet(
            f"{name}/{os.path.relpath(path, dataset.dataset_dir)}",
            tuple(map(os.path.abspath, frames)),
            int(camid),
        )
        for path, (frames, _, camid, *_) in zip(named_by, items, strict=True)
    ]


def _folders_with_frames(folder: Path, seen: set[Path]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yields folders with their images; a folder that several links lead to comes once."""
    if (real := folder.resolve()) in seen:
        return
    seen.add(real)
    if frames := list_frames(folder):
        yield folder, frames
    for below in subfolders(folder):
        yield from _folders_with_frames(below, seen)
