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
FILTERS = 16  # that are kept for further searches
_NONE = np.empty(0, np.int64)


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
        self._last = 0  # the highest id in the index
        self._removed = _NONE  # ids of the index that the store does not hold
        self._removals: int | None = None  # number of the last one that is noted; None: look
        self._filters: dict[tuple[int, ...], Any] = {}  # by the cameras that they exclude
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
        return index.search(feature, top, self._filter(index, other_than_cameras))

    def save(self) -> None:
        """Writes an up-to-date index in place of the one on disk."""
        self.refreshed()  # the slow part happens before the lock that other processes wait for
        with self._store.transaction():
            index = self.refreshed()
            former = self._remove_others()
            path = self._folder / f"index-{uuid4().hex}.faiss"
            with replacing(path) as file:
                index.write(file)
            self._store.set_about(
                index_file=path.name,
                index_hash=file_hash(path),
                index_removals=self._removals if index.removes else None,
            )
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
        erasures, removals = self._store.about("erasures") or 0, self._store.removals()
        index, kind = self._held, self._store.about("kind")
        if index is None or erasures != self._erasures:
            index = self._load(kind)
        self._note_removals(index)
        expected = len(index) + self._store.last_id() - self._last
        stale = len(self._removed) > STALE * len(index)
        if index.kind != kind or stale or expected > index.most:
            index = self._empty(kind)
        # An interrupted call leaves what the next one continues.
        self._held, self._state = index, None
        self._erasures, self._removals = erasures, removals
        blocks = -(-(self._store.last_id() - self._last) // BLOCK)
        for ids, features in progress(
            self._store.features_after(self._last), "indexing", blocks, "block"
        ):
            index.add(ids, features)
            self._last = int(ids[-1])  # SQLite takes no numpy integers
        self._filters.clear()
        self._state = state
        return index

    def _filter(self, index: FeatureIndex, other_than_cameras: Sequence[int]) -> Any:
        """Returns what limits a search; it is kept, as it takes longer than a search."""
        cameras = tuple(sorted(set(other_than_cameras)))
        if not cameras and not len(self._removed):
            return None
        if cameras not in self._filters:
            if len(self._filters) == FILTERS:
                del self._filters[next(iter(self._filters))]
            ids = self._store.ids(cameras) if cameras else np.setdiff1d(index.ids, self._removed)
            self._filters[cameras] = index.allow(ids)
        return self._filters[cameras]

    def _note_removals(self, index: FeatureIndex) -> None:
        """Removes from the index what the store does not hold any more, or notes it."""
        if not len(index):
            return
        if self._removals is None:
            removed = np.setdiff1d(index.ids, self._store.ids())
        else:
            removed = self._store.removed_after(self._removals)
            removed = removed[removed <= self._last]
        if index.removes:
            if len(removed):
                index.remove(removed)
        else:
            self._removed = np.union1d(self._removed, removed)

    def _empty(self, kind: str) -> FeatureIndex:
        """Begins an index of nothing."""
        self._last, self._removed = 0, _NONE
        return FeatureIndex(kind, self._feature_dim, self._store)

    def _load(self, kind: str) -> FeatureIndex:
        """Reads the index on disk; begins one if it is missing or damaged."""
        self._removals = None
        with self._store.transaction("DEFERRED"):  # no other process replaces it meanwhile
            path = self._file()
            if path is None:
                return self._empty(kind)
            try:
                if file_hash(path) == self._store.about("index_hash"):
                    index = FeatureIndex.read(path, kind, self._store)
                    self._last, self._removed = int(index.ids.max(initial=0)), _NONE
                    self._removals = self._store.about("index_removals")
                    return index
                fault = "its hash is another"
            except (OSError, RuntimeError) as error:  # FAISS raises the latter
                fault = str(error)
        warnings.warn(f"The index is rebuilt, as {path} cannot be used: {fault}.", stacklevel=5)
        return self._empty(kind)

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
