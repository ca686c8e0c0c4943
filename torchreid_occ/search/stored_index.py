"""The index of a gallery, in memory and on disk.

``index-*.faiss`` is a copy of the features for FAISS and may be out of date: on loading, missing
features are added and removed ones ignored, and a missing or damaged index is rebuilt.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.index import FeatureIndex
from torchreid_occ.search.store import BLOCK, TrackletStore
from torchreid_occ.utils.files import file_hash, remove_partial_files, replacing
from torchreid_occ.utils.progress import progress

STALE = 0.2  # share of removed features in an index from which it is rebuilt


class StoredIndex:
    """The index of the features in a store.

    Args:
        store: The store.
        folder: Folder of the index.
        feature_dim: Length of a feature.
    """

    def __init__(self, store: TrackletStore, folder: Path, feature_dim: int) -> None:
        self._store, self._folder, self._feature_dim = store, folder, feature_dim
        self._held: FeatureIndex | None = None
        self._allowed: npt.NDArray[np.int64] | None = None
        self._state: tuple[Any, ...] | None = None
        self._erasures = 0  # of the store when the index in memory was begun

    def search(
        self, feature: npt.NDArray[np.floating[Any]], top: int, other_than_cameras: Sequence[int]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Finds the nearest features, see `FeatureIndex.search`.

        Args:
            feature: Feature of the query.
            top: Number of features to find.
            other_than_cameras: Cameras whose tracklets are excluded.

        Shape:
            feature: ``(D,)``; results: ``(N,)`` each.
        """
        index = self.refreshed()
        allowed = self._store.ids(other_than_cameras) if other_than_cameras else self._allowed
        return index.search(feature, top, allowed)

    def save(self) -> None:
        """Writes an up-to-date index in place of the one on disk."""
        self.refreshed()  # the slow part happens before the lock that other processes wait for
        with self._store.transaction():
            index = self.refreshed()
            former = self._remove_others()
            path = self._folder / f"index-{uuid4().hex}.faiss"
            with replacing(path) as file:
                index.write(file)
            self._store.set_about(index_file=path.name, index_hash=file_hash(path))
        if former:
            former.unlink(missing_ok=True)

    def discard(self) -> None:
        """Removes all files that the store does not name."""
        with self._store.transaction():
            self._remove_others()

    def refreshed(self) -> FeatureIndex:
        """Updates the index in memory to the store's tracklets and returns it."""
        state = self._store.state()
        if self._held is not None and state == self._state:
            return self._held
        # An index from before an erasure holds what was erased, and may be written. Read first: of
        # an erasure meanwhile, the next call learns.
        erasures = self._store.about("erasures") or 0
        kind, live = self._store.about("kind"), self._store.ids()
        held = self._held if erasures == self._erasures else None
        index = self._load(kind) if held is None else held
        gone = ~np.isin(index.ids, live)
        if index.kind != kind or gone.sum() > STALE * len(gone):
            index, gone = FeatureIndex(kind, self._feature_dim), np.zeros(0, bool)
        last = int(index.ids.max(initial=0))  # SQLite takes no numpy integers
        blocks = -(-int((live > last).sum()) // BLOCK)
        for ids, features in progress(
            self._store.features_after(last), "indexing", blocks, "block"
        ):
            index.add(ids, features)
        self._allowed = live if gone.any() else None
        self._held, self._state, self._erasures = index, state, erasures
        return index

    def _load(self, kind: str) -> FeatureIndex:
        """Reads the index on disk; returns an empty one if it is missing or damaged."""
        with self._store.transaction("DEFERRED"):  # no other process replaces it meanwhile
            path = self._file()
            if path is None:
                return FeatureIndex(kind, self._feature_dim)
            try:
                if file_hash(path) == self._store.about("index_hash"):
                    return FeatureIndex.read(path, kind)
                fault = "its hash is another"
            except (OSError, RuntimeError) as error:  # FAISS raises the latter
                fault = str(error)
        warnings.warn(f"The index is rebuilt, as {path} cannot be used: {fault}.", stacklevel=5)
        return FeatureIndex(kind, self._feature_dim)

    def _remove_others(self) -> Path | None:
        """Removes all files but the current one, whose path it returns."""
        current = self._file()
        remove_partial_files(self._folder)
        for left_over in set(self._folder.glob("index-*.faiss")) - {current}:
            left_over.unlink()
        return current

    def _file(self) -> Path | None:
        name = self._store.about("index_file")
        return self._folder / name if name else None
