"""A gallery: tracklets that are found by their features, on disk or on a server.

In a folder, SQLite holds names, frames and features, and FAISS searches them. PostgreSQL with
pgvector does both, and so does Qdrant. :mod:`torchreid_occ.search.engines` opens each. A change is
one transaction (in Qdrant, one request): nothing needs repair after a kill, and searching needs no
write access.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.search.audit import audit_entry
from torchreid_occ.search.engines import begin_erasure, kinds_of, open_engine
from torchreid_occ.search.gallery_notes import GalleryNotes
from torchreid_occ.search.protocol import (
    Cameras,
    Match,
    cameras_of,
    check_finite,
    check_held,
    check_query,
    check_same_model,
    name_taken,
)
from torchreid_occ.search.traces import drop_features, drop_names, rename
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.checks import check_choice


class Gallery(GalleryNotes):
    """Tracklets and their features, which can be added, removed and searched.

    Several processes may use a gallery at once; each sees the changes of the others.

    Args:
        place: Folder of a gallery, see `create`, or the address of one, see `PostgresAddress` and
            `QdrantAddress`.

    Attributes:
        documents: What the gallery keeps besides its tracklets, such as a calibration.
        checkpoint_hash: ``TrackletExtractor.checkpoint_hash`` of the features.
        feature_dim: Length of a feature.
        uuid: Unique id of the gallery.

    Raises:
        FileNotFoundError: If there is no gallery.
        OSError: If a file or a server does not allow it.
        ValueError: If the gallery is damaged.
    """

    def __init__(self, place: StrPath) -> None:
        address, store, self._index, self.documents = open_engine(place)
        super().__init__(address, store)
        self.checkpoint_hash: str = self._store.about("checkpoint_hash")
        self.feature_dim: int = self._store.about("feature_dim")
        self.uuid: str = self._store.about("uuid")

    @classmethod
    def create(
        cls, place: StrPath, checkpoint_hash: str, feature_dim: int, kind: str | None = None
    ) -> "Gallery":
        """Opens the gallery in a folder or on a server, which is created if there is none.

        Args:
            place: The folder or the address.
            checkpoint_hash: ``TrackletExtractor.checkpoint_hash`` of the features.
            feature_dim: Length of a feature.
            kind: Kind of the index from now on, one of ``KINDS``, on a server 'exact' or 'hnsw'.
                None leaves the kind of a gallery as it is, and is 'exact' for a new one.

        Raises:
            ValueError: If the gallery has features of another checkpoint, or the kind is unknown.
        """
        if kind is not None:
            check_choice("kind", kind, kinds_of(place))
        about = {"checkpoint_hash": checkpoint_hash, "feature_dim": feature_dim}
        about |= {"kind": kind or "exact", "uuid": uuid4().hex}
        open_engine(place, about)
        gallery = cls(place)
        gallery.check_model(checkpoint_hash, feature_dim)
        if kind not in (None, gallery.kind):
            gallery._store.set_about(kind=kind, index_file=None)
        return gallery

    def __len__(self) -> int:
        return len(self._store)

    def check_model(self, checkpoint_hash: str, feature_dim: int) -> None:
        """Checks that features are comparable with the stored ones, see `Searchable.check_model`.

        Args:
            checkpoint_hash: Hash of the checkpoint that the features come from.
            feature_dim: Length of a feature.
        """
        stored = self.checkpoint_hash, self.feature_dim
        check_same_model((checkpoint_hash, feature_dim), stored, self.place)

    def ids_of(self, tracklets: Sequence[GalleryTracklet]) -> list[int | None]:
        """Looks up the ids of tracklets; None for a tracklet that is not in the gallery.

        Args:
            tracklets: The tracklets.

        Raises:
            ValueError: If two tracklets have one name, or a name is taken by other frames.
        """
        stored = self.by_name(tracklets)
        for tracklet in tracklets:
            if tracklet.name in stored and stored[tracklet.name][1].frames != tracklet.frames:
                raise name_taken(*stored[tracklet.name], self.place)
        return [stored[one.name][0] if one.name in stored else None for one in tracklets]

    def by_name(
        self, tracklets: Sequence[GalleryTracklet]
    ) -> dict[str, tuple[int, GalleryTracklet]]:
        """Looks up the stored tracklets that have the names of some tracklets, with their ids.

        Args:
            tracklets: The tracklets.

        Raises:
            ValueError: If two tracklets have one name.
        """
        repeated = [n for n, c in Counter(one.name for one in tracklets).items() if c > 1]
        if repeated:
            raise ValueError(f"Names must differ, but several tracklets are named {repeated[0]!r}.")
        found = self._store.find(tracklet.name for tracklet in tracklets)
        return {stored.name: (number, stored) for number, stored in found.items()}

    def by_content(self, contents: Iterable[str]) -> dict[str, tuple[int, GalleryTracklet]]:
        """Looks up the first stored tracklet of each content that is in the gallery, with its id.

        Args:
            contents: Contents of tracklets.
        """
        names = self._store.names_of_contents(contents)
        found = {
            one.name: (number, one) for number, one in self._store.find(names.values()).items()
        }
        return {content: found[name] for content, name in names.items() if name in found}

    def set_frames(self, tracklets: Mapping[int, GalleryTracklet]) -> None:
        """Stores where the frames of tracklets are now, and the names and cameras that follow.

        Args:
            tracklets: The tracklets by id; their features must still be those of these frames.
        """
        before = self._store.get(tracklets)
        renamed = {one.name: tracklets[number].name for number, one in before.items()}
        # Before the tracklets: what a kill leaves undone is done by the same call.
        rename(self.documents, {old: new for old, new in renamed.items() if old != new})
        with self._store.transaction():
            self._store.set_frames(tracklets)

    def add(
        self,
        tracklets: Sequence[GalleryTracklet],
        features: npt.NDArray[np.floating[Any]],
        checkpoint_hash: str,
        in_place_of: Iterable[int] = (),
    ) -> list[int]:
        """Adds tracklets, all or none; those already in the gallery are left as they are.

        Args:
            tracklets: The tracklets.
            features: Their features.
            checkpoint_hash: Hash of the checkpoint that the features come from.
            in_place_of: Ids of tracklets that are removed in the same change.

        Returns:
            The ids of all tracklets.

        Shape:
            features: ``(N, D)``.

        Raises:
            ValueError: If features are of another model, not finite or not as many as the
                tracklets, or a name is taken.
        """
        features = np.asarray(features)
        if features.ndim != 2 or len(features) != len(tracklets):
            raise ValueError(
                f"Received features of shape {features.shape} for {len(tracklets)} tracklets, but "
                f"expected ({len(tracklets)}, {self.feature_dim})."
            )
        self.check_model(checkpoint_hash, features.shape[-1])
        check_finite(features)
        with self._store.transaction():
            self._withdraw(list(in_place_of))
            ids = self.ids_of(tracklets)
            new = [place for place, number in enumerate(ids) if number is None]
            added = iter(self._store.add([tracklets[place] for place in new], features[new]))
            return [next(added) if number is None else number for number in ids]

    def remove(self, ids: Iterable[int]) -> None:
        """Removes tracklets, all or none, with what was found and corrected of their people.

        Args:
            ids: Ids of the tracklets.

        Raises:
            KeyError: If an id is not in the gallery.
        """
        ids = list(ids)
        with self._store.transaction():
            check_held(ids, self._store.get(ids), self.place)
            self._withdraw(ids)
        self._drop_names()

    def get(self, ids: Iterable[int]) -> dict[int, GalleryTracklet]:
        """Returns the tracklets of some ids by id, without those that are not in the gallery.

        Args:
            ids: The ids.
        """
        return self._store.get(ids)

    def erase(self, ids: Iterable[int], chosen_by: str, frames: int = 0) -> int:
        """Removes tracklets so that no file or table of the gallery holds anything of them.

        Neither of what `remove` and killed processes left of others. The audit says who erased how
        many, and when. After an error or a kill, repeat the call: removed ids are allowed.

        Args:
            ids: Ids of the tracklets.
            chosen_by: How they were chosen, for the audit; never by what.
            frames: Number of frames that were deleted, for the audit.

        Returns:
            The number removed, with those of a call that was interrupted.

        Raises:
            KeyError: If an id was never in the gallery; nothing is erased then.
            OSError: If a file cannot be written anew, as the disk is full or others read it.
        """
        ids = list(ids)
        with self._store.transaction():
            self.check_given(ids)
            erased = begin_erasure(self._store, self._withdraw(ids))
        self._index.discard()
        self._drop_names()
        self._store.scrub()
        self._store.audit(audit_entry(chosen_by, erased, frames))
        self._store.set_about(erasing=None)
        self.save_index()
        return erased

    def check_given(self, ids: Iterable[int]) -> None:
        """Checks that ids were given to tracklets, which may be removed since.

        Args:
            ids: The ids.

        Raises:
            KeyError: If an id was not; names those.
        """
        last = self._store.last_id()
        unknown = sorted(number for number in set(ids) if not 1 <= number <= last)
        if unknown:
            raise KeyError(
                f"There never were tracklets {unknown} in {self.place}: nothing was erased."
            )

    def _drop_names(self) -> None:
        """Drops tracklets that are no more from the people and the corrections."""
        drop_names(self.documents, lambda names: [o.name for o in self._store.find(names).values()])

    def _withdraw(self, ids: Sequence[int]) -> int:
        """Removes tracklets, also from the calibration, and returns how many there were."""
        features = self._store.features_of(ids).values() if ids else ()
        drop_features(self.documents, self.checkpoint_hash, self.checkpoint, features)
        self._store.remove(ids)
        return len(features)

    def added_before(self, moment: float | None) -> list[int]:
        """Returns the ids of tracklets that were added before a moment, in ascending order.

        Args:
            moment: Seconds since 1970; None for tracklets of 0.2.0, which did not note it.
        """
        return self._store.added_before(moment)

    def tracklets(self) -> Iterator[tuple[int, GalleryTracklet]]:
        """Yields all ids with their tracklets, ordered by id."""
        return self._store.tracklets()

    def ids(self) -> npt.NDArray[np.int64]:
        """Returns the ids of all tracklets in ascending order. Shape: ``(N,)``."""
        return self._store.ids()

    def entries(self) -> Iterator[tuple[int, GalleryTracklet, npt.NDArray[np.float32]]]:
        """Yields all ids with their tracklets and features, ordered by id."""
        for ids, features in self._store.features_after(0):
            stored = self._store.get(ids.tolist())
            for number, feature in zip(ids.tolist(), features, strict=True):
                if number in stored:  # another process may have removed it meanwhile
                    yield number, stored[number], feature

    def features_of(self, ids: Iterable[int]) -> dict[int, npt.NDArray[np.float32]]:
        """Returns the features of some ids by id, without those that are not in the gallery.

        Args:
            ids: The ids.
        """
        return self._store.features_of(ids)

    def search(
        self,
        feature: npt.NDArray[np.floating[Any]],
        checkpoint_hash: str,
        top: int = 10,
        other_than_camera: Cameras = None,
    ) -> list[Match]:
        """Finds the tracklets nearest by cosine distance, see `Searchable.search`.

        Args:
            feature: Feature of the query.
            checkpoint_hash: Hash of the checkpoint that the feature comes from.
            top: Number of tracklets to find; fewer where there are fewer.
            other_than_camera: Camera whose tracklets are excluded, or several.

        Shape:
            feature: ``(D,)``.
        """
        feature = np.asarray(feature)
        self.check_model(checkpoint_hash, len(feature))
        check_query(feature, top)
        ids, distances = self._index.search(feature, top, cameras_of(other_than_camera))
        stored = self._store.get(ids.tolist())
        return [
            Match(number, distance, stored[number])
            for number, distance in zip(ids.tolist(), distances.tolist(), strict=True)
            if number in stored
        ]

    def save_index(self) -> None:
        """Writes an up-to-date index, so that later searches begin without delay."""
        self._index.save()
