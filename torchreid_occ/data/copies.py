"""Datasets made of another one: new files for some frames, the source's files for the others."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from torchreid_occ._types import Item, StrPath
from torchreid_occ.data.datasets.base import SUBSETS, Listed, Subsets, TrackletDataset
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.utils.documents import read_json

MANIFEST = "manifest.json"


class Source(TypedDict):
    """The dataset that a copy was made of: its name, split and constructor's further arguments."""

    name: str
    split_id: int
    options: dict[str, Any]


class CopiedDataset(TrackletDataset):
    """A copy of a video dataset in which some frames are replaced or left out.

    A copy holds the new frames and a manifest, which states the source, how the copy was made and
    all changes; other frames are read from the source, which must not have changed.

    Args:
        root: Folder that holds the source.
        split_id: Split of the source that the copy was made of.
        path: Folder of the copy (``data.options`` of a configuration); if empty, the one below root
            that has the dataset's name.
        **kwargs: torchreid's.

    Attributes:
        manifest: What the copy says of itself.
        source: The dataset that the copy was made of.
        source_root: Folder that holds the source.

    Raises:
        FileNotFoundError: If there is no finished copy.
        ValueError: If the source has changed since, or another split is asked for.
    """

    required: tuple[str, ...] = (MANIFEST,)

    def __init__(
        self, root: StrPath = "", split_id: int = 0, path: StrPath = "", **kwargs: Any
    ) -> None:
        self.source_root = root
        if path:
            self.dataset_dir = Path(path).expanduser().absolute()
        super().__init__(root, split_id, **kwargs)

    def read(self, split_id: int) -> Subsets:
        """Lists the source's items with the copy's frames in place of theirs.

        Args:
            split_id: Split of the source.
        """
        path = self.dataset_dir / MANIFEST
        self.manifest = _read_manifest(path)
        source: Source = self.manifest["source"]
        if split_id != source["split_id"]:
            raise ValueError(
                f"{path}: this is a copy of split {source['split_id']} of {source['name']}, "
                f"but data.split_id is {split_id}: make one of this split, or set data.split_id."
            )
        try:
            self.source = load_source(source, self.source_root)
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{path} names a source that cannot be read: {error}") from error
        tracklets = tracklets_of(self.source)
        found = fingerprint(tracklets)
        if found != self.manifest["fingerprint"]:
            raise ValueError(
                f"{path}: this copy was made of {source['name']} as it was then: its files have "
                f"other names or sizes now ({found[:12]}, then "
                f"{self.manifest['fingerprint'][:12]}). Make the copy anew."
            )
        changes = self.manifest["frames"]
        train, query, gallery = (self._list(tracklets[name], changes[name]) for name in SUBSETS)
        return train, query, gallery

    def _list(
        self, tracklets: Sequence[Item], changes: Mapping[str, Mapping[str, str | None]]
    ) -> list[Listed]:
        return [
            (self._frames(paths, changes.get(str(index), {})), pid, camid)
            for index, (paths, pid, camid, _) in enumerate(tracklets)
        ]

    def _frames(self, paths: Sequence[str], changes: Mapping[str, str | None]) -> tuple[str, ...]:
        """Returns the paths of a tracklet's frames.

        Args:
            paths: Paths of the source's frames.
            changes: Path of the new frame, or None to leave it out, by number of the frame.
        """
        kept = []
        for number, path in enumerate(paths):
            change = changes.get(str(number), path)
            if change is not None:
                kept.append(path if change is path else str(self.dataset_dir / change))
        if not kept:
            raise ValueError(f"{self.dataset_dir / MANIFEST} leaves none of the frames {paths}.")
        return tuple(kept)


def _read_manifest(path: Path) -> dict[str, Any]:
    """Reads a copy's manifest and checks all entries that are used."""
    manifest: dict[str, Any] = read_json(path)
    try:
        source = manifest["source"]
        well_formed = (
            isinstance(source["name"], str)
            and isinstance(source["split_id"], int)
            and isinstance(source["options"], dict)
            and isinstance(manifest["fingerprint"], str)
            and all(
                change is None or (path.parent / change).is_file()
                for subset in SUBSETS
                for changes in manifest["frames"][subset].values()
                for change in changes.values()
            )
        )
    except (AttributeError, KeyError, TypeError, ValueError, OSError):
        well_formed = False
    if not well_formed:
        raise ValueError(
            f"{path} is no manifest of a copy, or frames of it are gone: make it anew."
        )
    return manifest


def load_source(source: Source, root: StrPath) -> Any:
    """Loads the dataset that a copy is made of.

    Args:
        source: The dataset.
        root: Folder that holds the datasets.
    """
    return load_dataset(
        source["name"], str(root), source["split_id"], options=source["options"] or None
    )


def source_tracklets(source: Source, root: StrPath) -> dict[str, list[Item]]:
    """Lists the tracklets of a copy's source by subset.

    Args:
        source: The dataset.
        root: Folder that holds the datasets.
    """
    return tracklets_of(load_source(source, root))


def fingerprint(tracklets: Mapping[str, Sequence[Item]]) -> str:
    """Hashes the names and sizes of a dataset's frames, with their tracklets, pids and camids.

    Args:
        tracklets: Tracklets by subset.
    """
    digest = hashlib.sha256()
    for subset in SUBSETS:
        for index, (paths, pid, camid, *_) in enumerate(tracklets[subset]):
            for path in map(Path, paths):
                size = path.stat().st_size
                digest.update(f"{subset} {index} {pid} {camid} {path.name} {size}\n".encode())
    return digest.hexdigest()
