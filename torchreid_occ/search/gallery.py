"""A gallery on disk: tracklets to be found again by their features.

``gallery.sqlite`` is the gallery: names, frames and features, each change one transaction
(:mod:`torchreid_occ.search.store`). ``index-*.faiss`` is a copy of the features in the form that is
searched, and may be behind: what it lacks is added when it is loaded, what it has too much is
passed over, and one that is missing or not the file that was written is built anew. So nothing is
to be repaired after a kill, and whoever only searches needs no right to write.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np

from torchreid_occ.search.index import KINDS, FeatureIndex
from torchreid_occ.search.protocol import Match, check_finite, check_query, check_same_model
from torchreid_occ.search.store import BLOCK, TrackletStore
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.files import file_hash, remove_partial_files, replacing
from torchreid_occ.utils.progress import progress

FILE = "gallery.sqlite"
STALE = 0.2  # share of an index that may be gone from the gallery until it is built anew


class Gallery:
    """Tracklets and their features in a folder, to be added, removed and searched.

    Several processes may use a folder at once; each sees what the others change.

    Args:
        folder: The folder, which `create` makes.

    Attributes:
        checkpoint_hash: That of the ``TrackletExtractor`` of its features.
        feature_dim: Their length.
        uuid: Its own name among all galleries.

    Raises:
        FileNotFoundError: If no gallery is there.
        ValueError: If it is damaged.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).expanduser()
        if not (self.folder / FILE).is_file():
            raise FileNotFoundError(
                f"There is no gallery in {self.folder}: `torchreid-occ search index` makes one."
            )
        self._store = TrackletStore(self.folder / FILE)
        for name in ("checkpoint_hash", "feature_dim", "uuid"):
            setattr(self, name, self._store.about(name))
        self._index, self._allowed, self._state = None, None, None

    @classmethod
    def create(cls, folder, checkpoint_hash: str, feature_dim: int, kind: str | None = None):
        """Opens the gallery in a folder, which is made where there is none.

        Args:
            folder: The folder.
            checkpoint_hash: As `Gallery` has it.
            feature_dim: Likewise.
            kind: How it is indexed from now on, one of ``KINDS``. None leaves that as it is, which
                for a new one is 'exact'.

        Raises:
            ValueError: If the gallery there has features of another model, or the kind is unknown.
        """
        if kind not in (None, *KINDS):
            raise ValueError(f'Received kind "{kind}", but expected to be one of {KINDS}')
        about = {"checkpoint_hash": checkpoint_hash, "feature_dim": feature_dim}
        about |= {"kind": kind or "exact", "uuid": uuid4().hex}
        TrackletStore(Path(folder).expanduser() / FILE, about)
        gallery = cls(folder)
        gallery.check_model(checkpoint_hash, feature_dim)
        if kind not in (None, gallery.kind):
            gallery._store.set_about(kind=kind, index_file=None)
        return gallery

    @property
    def place(self) -> str:
        """Where the gallery is, for messages."""
        return f"the gallery in {self.folder}"

    @property
    def kind(self) -> str:
        """How it is indexed, one of ``KINDS``."""
        return self._store.about("kind")

    def __len__(self):
        return len(self._store)

    def check_model(self, checkpoint_hash: str, feature_dim: int):
        """Refuses features that those in the gallery cannot be compared with.

        Args:
            checkpoint_hash: Of the checkpoint that the features come from.
            feature_dim: Their length.

        Raises:
            ValueError: If they are of another checkpoint; names both.
        """
        own = self.checkpoint_hash, self.feature_dim
        check_same_model((checkpoint_hash, feature_dim), own, self.place)

    def ids_of(self, tracklets: Sequence[GalleryTracklet]) -> list[int | None]:
        """The ids of tracklets, None for one that is not there.

        Raises:
            ValueError: If two have one name, or one has the name of another tracklet there.
        """
        repeated = [n for n, c in Counter(one.name for one in tracklets).items() if c > 1]
        if repeated:
            raise ValueError(f"Names must differ, but several tracklets are named {repeated[0]!r}.")
        found = self._store.find(tracklet.name for tracklet in tracklets)
        ids = {there.name: number for number, there in found.items()}
        for tracklet in tracklets:
            number = ids.get(tracklet.name)
            if number is not None and found[number].frames != tracklet.frames:
                raise ValueError(
                    f"{tracklet.name!r} is already in the gallery in {self.folder}, with the id "
                    f"{number} and other frames, the first of which is {found[number].frames[0]}: "
                    "remove that, or give the new one another name."
                )
        return [ids.get(tracklet.name) for tracklet in tracklets]

    def add(
        self, tracklets: Sequence[GalleryTracklet], features: np.ndarray, checkpoint_hash: str
    ) -> list[int]:
        """Adds tracklets, all or none; those that are there already stay as they are.

        Args:
            tracklets: The tracklets.
            features: Their features.
            checkpoint_hash: As `Gallery` has it.

        Returns:
            Their ids.

        Shape:
            features: ``(N, D)``.

        Raises:
            ValueError: If features are of another model or not finite, or a name is taken.
        """
        features = np.asarray(features)
        self.check_model(checkpoint_hash, features.shape[-1])
        check_finite(features)
        with self._store.transaction():
            ids = self.ids_of(tracklets)
            new = [place for place, number in enumerate(ids) if number is None]
            added = self._store.add([tracklets[place] for place in new], features[new])
            for place, number in zip(new, added, strict=True):
                ids[place] = number
        return ids

    def remove(self, ids: Iterable[int]):
        """Removes tracklets, all or none.

        Raises:
            KeyError: If there is none of an id.
        """
        ids = list(ids)
        with self._store.transaction():
            unknown = sorted(set(ids) - self._store.get(ids).keys())
            if unknown:
                raise KeyError(
                    f"The gallery in {self.folder} has no tracklets with the ids {unknown}: "
                    "nothing was removed."
                )
            self._store.remove(ids)

    def tracklets(self) -> Iterator[tuple[int, GalleryTracklet]]:
        """All ids, counting up, with their tracklets."""
        return self._store.tracklets()

    def ids(self) -> np.ndarray:
        """Ids of all tracklets, counting up."""
        return self._store.ids()

    def entries(self) -> Iterator[tuple[int, GalleryTracklet, np.ndarray]]:
        """All ids, counting up, with their tracklets and features."""
        for ids, features in self._store.features_after(0):
            there = self._store.get(ids.tolist())
            for number, feature in zip(ids.tolist(), features, strict=True):
                if number in there:  # another process may have removed it just now
                    yield number, there[number], feature

    def search(
        self,
        feature: np.ndarray,
        checkpoint_hash: str,
        top: int = 10,
        other_than_camera: int | None = None,
    ) -> list[Match]:
        """Finds the tracklets nearest by cosine distance.

        Args:
            feature: What they are near to.
            checkpoint_hash: As `Gallery` has it.
            top: How many; fewer where there are not so many.
            other_than_camera: A camera whose tracklets are left out, as that of the query is in a
                test.

        Shape:
            feature: ``(D,)``.

        Raises:
            ValueError: If the feature is of another model or not finite, or `top` is less than 1.
        """
        feature = np.asarray(feature)
        self.check_model(checkpoint_hash, len(feature))
        check_query(feature, top)
        self._refresh()
        allowed = self._allowed
        if other_than_camera is not None:
            allowed = self._store.ids(other_than_camera)
        ids, distances = self._index.search(feature, top, allowed)
        there = self._store.get(ids.tolist())
        return [
            Match(int(number), float(distance), there[number])
            for number, distance in zip(ids, distances, strict=True)
            if number in there
        ]

    def save_index(self):
        """Brings the index on disk to what the gallery holds, so that it loads without delay."""
        self._refresh()  # what takes long keeps no other process waiting
        with self._store.transaction():
            self._refresh()
            former = self._index_file()
            remove_partial_files(self.folder)
            for left_over in set(self.folder.glob("index-*.faiss")) - {former}:
                left_over.unlink()
            path = self.folder / f"index-{uuid4().hex}.faiss"
            with replacing(path) as file:
                self._index.write(file)
            self._store.set_about(index_file=path.name, index_hash=file_hash(path))
        if former:
            former.unlink(missing_ok=True)

    def _refresh(self):
        """Brings the index in memory to what the gallery holds."""
        state = self._store.state()
        if state == self._state:
            return
        kind, live = self.kind, self._store.ids()
        if self._index is None:
            self._index = self._load(kind)
        gone = ~np.isin(self._index.ids, live)
        if self._index.kind != kind or gone.sum() > STALE * len(gone):
            self._index, gone = FeatureIndex(kind, self.feature_dim), np.zeros(0, bool)
        last = int(self._index.ids.max(initial=0))  # SQLite knows no numbers of numpy
        blocks = -(-int((live > last).sum()) // BLOCK)
        for block in progress(self._store.features_after(last), "indexing", blocks, "block"):
            self._index.add(*block)
        self._allowed = live if gone.any() else None
        self._state = state

    def _load(self, kind):
        """The index on disk, or an empty one where that is of no use."""
        with self._store.transaction("DEFERRED"):  # meanwhile nobody takes its place
            path = self._index_file()
            if path is None:
                return FeatureIndex(kind, self.feature_dim)
            try:
                if file_hash(path) == self._store.about("index_hash"):
                    return FeatureIndex.read(path, kind)
                fault = "not the file that was written"
            except (OSError, RuntimeError) as error:  # FAISS raises the latter
                fault = str(error)
        warnings.warn(f"The index is built anew, as {path} is of no use: {fault}.", stacklevel=4)
        return FeatureIndex(kind, self.feature_dim)

    def _index_file(self):
        name = self._store.about("index_file")
        return name and self.folder / name
