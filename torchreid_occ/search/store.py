"""What a gallery is: tracklets and their features in one SQLite file.

Each change is one transaction, so that a process killed at any point leaves the state before it or
after it, and SQLite's locks let processes change the file in turn. Ids count up and none is given
twice: whoever has seen all up to one finds what is new above it.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from torchreid_occ.search.tracklets import GalleryTracklet

FORMAT = 1
PATIENCE = 600  # seconds to wait for another process's change
BLOCK = 4096  # rows read at a time, so that no reader keeps writers waiting
_TABLES = (
    "CREATE TABLE about (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE tracklets (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, "
    "camera INTEGER, start REAL, end REAL, frames TEXT NOT NULL)",
    "CREATE INDEX by_camera ON tracklets (camera)",
    # Apart from the rest, which is then listed without passing over them.
    "CREATE TABLE features (id INTEGER PRIMARY KEY REFERENCES tracklets ON DELETE CASCADE, "
    "feature BLOB NOT NULL)",
    f"PRAGMA user_version = {FORMAT}",
)
_LISTED = "(SELECT value FROM json_each(?))"


class TrackletStore:
    """Tracklets with ids and features in a file that several processes may change.

    Args:
        path: The file.
        about: What `about` gives of a new store. None to open one that is there.

    Raises:
        ValueError: If the file is damaged, or something else.
        OSError: If it cannot be opened or made.
    """

    def __init__(self, path: Path, about: dict | None = None):
        self._path = path
        if about is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()  # an empty file is an empty database
        with self._explained():
            uri = f"{path.absolute().as_uri()}?mode=rw"  # makes no file
            self._connection = sqlite3.connect(uri, PATIENCE, isolation_level=None, uri=True)
        self._rows("PRAGMA foreign_keys = ON")
        if about is not None:
            self._make_tables(about)
        ((found,),) = self._rows("PRAGMA user_version")
        if found != FORMAT:
            raise ValueError(
                f"{path} is no gallery: its format is {found}, but expected {FORMAT}. (One whose "
                "making was interrupted is made by indexing again.)"
            )

    @contextmanager
    def transaction(self, mode: str = "IMMEDIATE"):
        """What the block changes is kept as a whole or not at all.

        Args:
            mode: SQLite's: 'IMMEDIATE' lets no other process change anything meanwhile, 'DEFERRED'
                lets the block read everything in one state.
        """
        with self._explained(), self._connection:
            self._connection.execute(f"BEGIN {mode}")
            yield

    def about(self, key: str):
        """A value that the store keeps about itself, or None."""
        rows = self._rows("SELECT value FROM about WHERE key = ?", key)
        return rows[0][0] if rows else None

    def set_about(self, **values):
        """Keeps values about the store."""
        for item in values.items():
            self._rows("INSERT OR REPLACE INTO about VALUES (?, ?)", *item)

    def state(self) -> tuple:
        """Something that differs once anything was changed, by this process or another."""
        return (*self._rows("PRAGMA data_version"), self._connection.total_changes)

    def add(self, tracklets: Sequence[GalleryTracklet], features: np.ndarray) -> list[int]:
        """Adds tracklets whose names are not there yet; gives their ids."""
        ((last,),) = self._rows("SELECT coalesce(max(seq), 0) FROM sqlite_sequence")
        ids = range(last + 1, last + 1 + len(tracklets))
        rows = (
            (number, one.name, one.camera, one.start, one.end, _shortened(one.frames))
            for number, one in zip(ids, tracklets, strict=True)
        )
        blobs = (feature.astype("<f4").tobytes() for feature in features)
        with self._explained():
            self._connection.executemany("INSERT INTO tracklets VALUES (?, ?, ?, ?, ?, ?)", rows)
            pairs = zip(ids, blobs, strict=True)
            self._connection.executemany("INSERT INTO features VALUES (?, ?)", pairs)
        return list(ids)

    def remove(self, ids: Iterable[int]):
        """Removes tracklets; ids that are not there are passed over."""
        self._rows(f"DELETE FROM tracklets WHERE id IN {_LISTED}", json.dumps(list(ids)))

    def __len__(self):
        return self._rows("SELECT count(*) FROM tracklets")[0][0]

    def find(self, names: Iterable[str]) -> dict[int, GalleryTracklet]:
        """The tracklets of those names that are there, by their ids."""
        return self._select("name", names)

    def get(self, ids: Iterable[int]) -> dict[int, GalleryTracklet]:
        """The tracklets of those ids that are there, by their ids."""
        return self._select("id", ids)

    def tracklets(self) -> Iterator[tuple[int, GalleryTracklet]]:
        """All tracklets with their ids, which count up."""
        for rows in self._blocks("tracklets", 0):
            yield from (_as_tracklet(*row) for row in rows)

    def ids(self, other_than_camera: int | None = None) -> np.ndarray:
        """Ids of all tracklets, or of those not known to be of a camera, counting up."""
        condition = "" if other_than_camera is None else " WHERE camera IS NOT ?"
        values = () if other_than_camera is None else (other_than_camera,)
        rows = self._rows(f"SELECT id FROM tracklets{condition}", *values)
        return np.sort(np.fromiter((number for (number,) in rows), np.int64, len(rows)))

    def features_after(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of ids above a number, counting up, and of the features of their tracklets.

        Shape:
            Each: ``(N,)`` and ``(N, D)``.
        """
        for rows in self._blocks("features", number):
            ids, features = zip(*rows, strict=True)
            features = np.frombuffer(b"".join(features), "<f4").reshape(len(ids), -1)
            yield np.array(ids, np.int64), features

    def _select(self, column, values):
        query = f"SELECT * FROM tracklets WHERE {column} IN {_LISTED}"
        return dict(_as_tracklet(*row) for row in self._rows(query, json.dumps(list(values))))

    def _blocks(self, table, after):
        query = f"SELECT * FROM {table} WHERE id > ? ORDER BY id LIMIT {BLOCK}"
        while rows := self._rows(query, after):
            yield rows
            after = rows[-1][0]

    def _make_tables(self, about):
        with self.transaction():
            if not self._rows("SELECT * FROM sqlite_master"):
                for statement in _TABLES:
                    self._rows(statement)
                self.set_about(**about)

    def _rows(self, command, *values):
        with self._explained():
            return self._connection.execute(command, values).fetchall()

    @contextmanager
    def _explained(self):
        """SQLite's errors as what a user can act on."""
        try:
            yield
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{error.object!r} is no text in UTF-8: give it another name."
            ) from error
        except sqlite3.OperationalError as error:
            raise OSError(f"{self._path} cannot be used as it should: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{self._path} is damaged or no gallery ({error}): restore it from a copy, or "
                "index anew into another folder."
            ) from error


def _shortened(frames):
    """Paths as text that names what they begin with once."""
    shared = os.path.commonprefix(frames)  # noqa: RUF071  it need not be a folder
    return json.dumps([shared, [frame[len(shared) :] for frame in frames]])


def _as_tracklet(number, name, camera, start, end, frames):
    shared, rests = json.loads(frames)
    return number, GalleryTracklet(name, tuple(shared + rest for rest in rests), camera, start, end)
