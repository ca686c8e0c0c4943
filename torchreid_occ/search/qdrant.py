"""Galleries in Qdrant, a vector database that distributes a collection over many machines.

A gallery is two collections. One holds the tracklets: the id of a point is that of the tracklet,
its vector the feature at unit length, so that their inner product is the cosine similarity. The
other one holds records: what is known of the gallery, the last id, locks, documents and audits.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.protocol import unit_features
from torchreid_occ.search.qdrant_address import QdrantAddress
from torchreid_occ.search.qdrant_collections import ABOUT, create_collections, renew_collections
from torchreid_occ.search.qdrant_connection import QdrantConnection
from torchreid_occ.search.qdrant_lock import locked
from torchreid_occ.search.stored_frames import frames_text, tracklet_of_row
from torchreid_occ.search.tracklets import GalleryTracklet

FORMAT = 1
BLOCK = 256  # points received at a time
SENT = 64  # points sent at a time; a server takes 32 MiB
LAST_ID = "last id"
_TRACKLET = ("name", "camera", "start", "end", "frames", "stamp", "content")


class QdrantStore:
    """Tracklets with ids and features in a collection that several processes may change.

    The changes of a block under `transaction` are sent at its end: an error leaves them undone, and
    so does a kill, except between the requests of a change of more than `SENT` tracklets.

    Args:
        address: The server and the gallery.
        about: Values of `about` in a new store, which is created if there is none; None to open an
            existing store.

    Raises:
        FileNotFoundError: If there is no store.
        ConnectionError: If no server answers.
        PermissionError: If it does not let this client in.
        ValueError: If the server is too old, or the name is that of another collection.
    """

    def __init__(self, address: QdrantAddress, about: dict[str, Any] | None = None) -> None:
        self.connection = QdrantConnection(address)
        self._models = self.connection.models
        self._changes: _Changes | None = None
        if about is not None:
            create_collections(self.connection, {"format": FORMAT, **about})
        if not self.connection("collection_exists", self.connection.records):
            raise FileNotFoundError(
                f"There is no gallery in {address}: `torchreid-occ search index` makes one."
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Waits for the changes of other processes, and sends those of the block at its end."""
        with locked(self.connection, "tracklets") as lock:
            self._changes = _Changes()
            try:
                yield
                lock.keep()
                self._send(self._changes)
            finally:
                self._changes = None

    def about(self, key: str) -> Any:
        """Returns a value about the store, or None.

        Args:
            key: Name of the value.
        """
        return self.connection.record(ABOUT).get(key)

    def set_about(self, **values: str | float | None) -> None:
        """Stores values about the store.

        Args:
            **values: The values by name.
        """
        if self._changes is None:
            with self.transaction():
                self.set_about(**values)
        else:
            self._changes.about |= values

    def audit(self, entry: Mapping[str, Any]) -> None:
        """Adds a record of an audit.

        Args:
            entry: Plain values.
        """
        with self.transaction():
            self.connection.write_record(f"audit {uuid4().hex}", {"entry": dict(entry)})

    def add(
        self, tracklets: Sequence[GalleryTracklet], features: npt.NDArray[np.floating[Any]]
    ) -> list[int]:
        """Adds tracklets of new names in the caller's transaction and returns their ids.

        Args:
            tracklets: The tracklets.
            features: Their features. Shape: ``(N, D)``.
        """
        for tracklet in tracklets:
            _check_text(tracklet.name)
        last = self._claim(len(tracklets))
        ids = range(last + 1, last + 1 + len(tracklets))
        now = time.time()
        self._pending().points += (
            self._models.PointStruct(
                id=number,
                vector=feature.tolist(),
                payload={
                    **one._asdict(), "frames": frames_text(one.frames), "added": now,
                },
            )
            for number, one, feature in zip(ids, tracklets, unit_features(features), strict=True)
        )  # fmt: skip
        return list(ids)

    def set_frames(self, tracklets: Mapping[int, GalleryTracklet]) -> None:
        """Stores all that is known of stored tracklets except for their features.

        Args:
            tracklets: The tracklets by id.
        """
        for number, one in tracklets.items():
            _check_text(one.name)
            values = {**one._asdict(), "frames": frames_text(one.frames)}
            for key in ("stamp", "content"):
                if values[key] is None:
                    del values[key]  # what is stored of it stays
            self._pending().payloads[number] = values

    def remove(self, ids: Iterable[int]) -> None:
        """Removes tracklets; unknown ids are ignored.

        Args:
            ids: Ids of the tracklets.
        """
        self._pending().removed |= {*ids}

    def scrub(self) -> None:
        """Copies the collections without what was removed, and deletes the former ones."""
        with (
            locked(self.connection, "tracklets") as tracklets,
            locked(self.connection, "documents") as documents,
        ):
            renew_collections(self.connection, [tracklets, documents])

    def last_id(self) -> int:
        """Returns the highest id that was ever given; 0 if none was."""
        return int(self.connection.record(LAST_ID).get("value", 0))

    def added_before(self, moment: float | None) -> list[int]:
        """Returns the ids of tracklets that were added before a moment, in ascending order.

        Args:
            moment: Seconds since 1970; None for tracklets of which the time is not known.
        """
        if moment is None:
            return []
        earlier = self._models.FieldCondition(key="added", range=self._models.Range(lt=moment))
        return [point.id for point in self._scroll(earlier, payload=False)]

    def __len__(self) -> int:
        return int(self.connection("count", self.connection.tracklets, exact=True).count)

    def find(self, names: Iterable[str]) -> dict[int, GalleryTracklet]:
        """Returns the stored tracklets of some names by id.

        Args:
            names: The names.
        """
        for name in (listed := [*names]):
            _check_text(name)
        return dict(_tracklet_of(point) for point in self._having("name", listed))

    def names_of_contents(self, contents: Iterable[str]) -> dict[str, str]:
        """Returns the name of the first stored tracklet of each content that there is.

        Args:
            contents: The contents.
        """
        names: dict[str, str] = {}
        for point in self._having("content", [*contents]):
            names.setdefault(point.payload["content"], point.payload["name"])
        return names

    def get(self, ids: Iterable[int]) -> dict[int, GalleryTracklet]:
        """Returns the stored tracklets of some ids by id.

        Args:
            ids: The ids.
        """
        return dict(_tracklet_of(point) for point in self._retrieve(ids, with_payload=True))

    def features_of(self, ids: Iterable[int]) -> dict[int, npt.NDArray[np.float32]]:
        """Returns the stored features of some ids by id.

        Args:
            ids: The ids.
        """
        points = self._retrieve(ids, with_payload=False, with_vectors=True)
        return {point.id: np.array(point.vector, np.float32) for point in points}

    def tracklets(self) -> Iterator[tuple[int, GalleryTracklet]]:
        """Yields all tracklets with their ids, ordered by id."""
        return (_tracklet_of(point) for point in self._scroll())

    def ids(self) -> npt.NDArray[np.int64]:
        """Returns ids in ascending order. Shape: ``(N,)``."""
        return np.fromiter((point.id for point in self._scroll(payload=False)), np.int64)

    def features_after(
        self, number: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yields blocks of ids and features of the tracklets after an id, ordered by id.

        Args:
            number: The id.

        Shape:
            Each block: ``(N,)`` and ``(N, D)``.
        """
        for points in self._blocks(after=number, payload=False, vectors=True):
            ids = np.array([point.id for point in points], np.int64)
            yield ids, np.array([point.vector for point in points], np.float32)

    def _pending(self) -> "_Changes":
        assert self._changes is not None, "changes belong into a transaction"
        return self._changes

    def _claim(self, count: int) -> int:
        """Reserves ids and returns the last one before them, also if a lock was lost."""
        last, token = self.last_id(), uuid4().hex
        values = {"value": last + count, "by": token}
        self.connection.write_record(LAST_ID, values, where={"value": last})
        if self.connection.record(LAST_ID)["by"] != token:
            raise OSError(
                f"Another process changes {self.connection.address} at the same time: nothing is "
                "stored, repeat the call."
            )
        return last

    def _send(self, changes: "_Changes") -> None:
        if changes.about:
            about = {**self.connection.record(ABOUT), **changes.about}
            self.connection.write_record(ABOUT, about)
        for operations in changes.requests(self._models):
            self.connection(
                "batch_update_points", self.connection.tracklets, operations,
                ordering=self._models.WriteOrdering.STRONG,
            )  # fmt: skip

    def _retrieve(self, ids: Iterable[int], **wanted: Any) -> Iterator[Any]:
        for block in _parts([*ids], BLOCK):
            yield from self._left(
                self.connection("retrieve", self.connection.tracklets, block, **wanted)
            )

    def _having(self, name: str, values: list[str]) -> Iterator[Any]:
        """Yields the points that have one of some values, ordered by id in each block of values."""
        for block in _parts(values, BLOCK):
            yield from self._scroll(self.connection.matching(name, block))

    def _scroll(self, condition: Any = None, payload: bool = True) -> Iterator[Any]:
        for points in self._blocks(condition, payload=payload):
            yield from points

    def _blocks(
        self, condition: Any = None, after: int = 0, payload: bool = True, vectors: bool = False
    ) -> Iterator[list[Any]]:
        chosen = condition and self._models.Filter(must=[condition])
        following: int | None = after + 1
        while following is not None:
            points, following = self.connection(
                "scroll", self.connection.tracklets, chosen, limit=BLOCK, offset=following,
                with_payload=payload, with_vectors=vectors,
            )  # fmt: skip
            if left := self._left(points):
                yield left

    def _left(self, points: list[Any]) -> list[Any]:
        """Returns the points that the running transaction has not removed."""
        removed = self._changes.removed if self._changes else ()
        return [point for point in points if point.id not in removed]


class _Changes:
    """What a transaction changes.

    Attributes:
        points: Points of new tracklets.
        payloads: New values of stored tracklets by id.
        removed: Ids of tracklets that are removed.
        about: New values about the store.
    """

    def __init__(self) -> None:
        self.points: list[Any] = []
        self.payloads: dict[int, dict[str, Any]] = {}
        self.removed: set[int] = set()
        self.about: dict[str, str | float | None] = {}

    def requests(self, models: Any) -> list[list[Any]]:
        """Returns the operations of each request, in an order in which nothing is missing.

        Args:
            models: The client's module of models.
        """
        new: list[Any] = [
            models.UpsertOperation(upsert=models.PointsList(points=block))
            for block in _parts(self.points, SENT)
        ]
        rest = new[-1:]
        for number, payload in self.payloads.items():
            # By a filter, as a point that another process has removed would be an error.
            chosen = models.Filter(must=[models.HasIdCondition(has_id=[number])])
            changed = models.SetPayload(payload=payload, filter=chosen)
            rest.append(models.SetPayloadOperation(set_payload=changed))
        if self.removed:
            gone = models.PointIdsList(points=sorted(self.removed))
            rest.append(models.DeleteOperation(delete=gone))
        return [*([one] for one in new[:-1]), *_parts(rest, SENT)]


def _parts(values: list[Any], length: int) -> list[list[Any]]:
    return [values[place : place + length] for place in range(0, len(values), length)]


def _tracklet_of(point: Any) -> tuple[int, GalleryTracklet]:
    return tracklet_of_row(point.id, *(point.payload.get(name) for name in _TRACKLET))


def _check_text(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name!r} is not UTF-8 text: give it another name.") from error
