"""Tracklets and their features in one SQLite file.

Each change is one transaction, so that a kill at any point leaves the state before or after it, and
SQLite's locks serialise the changes of several processes. Ids only grow and are never reused: rows
added after id N have ids > N.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.audit import AUDIT, append_audit
from torchreid_occ.search.schema import FORMAT, LATER_TABLES, NOT_TEMPORARY, TABLES
from torchreid_occ.search.stored_frames import frames_text, tracklet_of_row
from torchreid_occ.search.tracklets import GalleryTracklet

TIMEOUT = 600  # seconds to wait for another process's change
BLOCK = 4096  # rows read at a time, so that readers do not block writers
_WITH_CONTENTS = (
    "SELECT tracklets.*, contents.stamp, contents.content FROM tracklets LEFT JOIN contents "
    "USING (id)"
)
_LISTED = "(SELECT value FROM json_each(?))"


class TrackletStore:
    """Tracklets with ids and features in a file that several processes may change.

    Args:
        path: The file.
        about: Values of `about` in a new store, which is created if there is none; None to open an
            existing store.

    Raises:
        ValueError: If the file is damaged or no store.
        OSError: If it cannot be opened or created.
    """

    def __init__(self, path: Path, about: dict[str, Any] | None = None) -> None:
        self._path = path
        if about is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()  # an empty file is an empty database
        with self._explained():
            uri = f"{path.absolute().as_uri()}?mode=rw"  # does not create a file
            self._connection = sqlite3.connect(uri, timeout=TIMEOUT, isolation_level=None, uri=True)
        self._rows("PRAGMA foreign_keys = ON")
        self._rows("PRAGMA secure_delete = ON")  # overwrites removed rows with zeros
        if about is not None:
            self._make_tables(about)
        ((found,),) = self._rows("PRAGMA user_version")
        if found != FORMAT:
            raise ValueError(
                f"{path} is no gallery: its format is {found}, but expected {FORMAT}. (If its "
                "creation was interrupted, index again.)"
            )
        later = "SELECT * FROM sqlite_master WHERE name IN ('contents', 'added', 'note_removal')"
        if len(self._rows(later)) < 3:
            self._add_later_tables()

    @contextmanager
    def transaction(self, mode: str = "IMMEDIATE") -> Iterator[None]:
        """Makes the changes of the block atomic.

        Args:
            mode: SQLite's mode: 'IMMEDIATE' blocks changes by other processes, 'DEFERRED' gives
                all reads of the block one snapshot.
        """
        with self._explained(), self._connection:
            self._connection.execute(f"BEGIN {mode}")
            yield

    def about(self, key: str) -> Any:
        """Returns a value about the store, or None.

        Args:
            key: Name of the value.
        """
        rows = self._rows("SELECT value FROM about WHERE key = ?", key)
        return rows[0][0] if rows else None

    def set_about(self, **values: str | float | None) -> None:
        """Stores values about the store.

        Args:
            **values: The values by name.
        """
        for pair in values.items():
            self._rows("INSERT OR REPLACE INTO about VALUES (?, ?)", *pair)

    def state(self) -> tuple[Any, ...]:
        """Returns a value that differs after any change, by this process or another."""
        return (*self._rows("PRAGMA data_version"), self._connection.total_changes)

    def add(
        self, tracklets: Sequence[GalleryTracklet], features: npt.NDArray[np.floating[Any]]
    ) -> list[int]:
        """Adds tracklets of new names and returns their ids.

        Args:
            tracklets: The tracklets.
            features: Their features. Shape: ``(N, D)``.
        """
        last = self.last_id()
        ids = range(last + 1, last + 1 + len(tracklets))
        rows = (
            (number, one.name, one.camera, one.start, one.end, frames_text(one.frames))
            for number, one in zip(ids, tracklets, strict=True)
        )
        blobs = (feature.astype("<f4").tobytes() for feature in features)
        times = zip(ids, [time.time()] * len(ids), strict=True)
        with self._explained():
            self._connection.executemany("INSERT INTO tracklets VALUES (?, ?, ?, ?, ?, ?)", rows)
            pairs = zip(ids, blobs, strict=True)
            self._connection.executemany("INSERT INTO features VALUES (?, ?)", pairs)
            self._connection.executemany("INSERT INTO added VALUES (?, ?)", times)
        self.set_frames(dict(zip(ids, tracklets, strict=True)))
        return list(ids)

    def set_frames(self, tracklets: Mapping[int, GalleryTracklet]) -> None:
        """Stores all that is known of stored tracklets except for their features.

        Args:
            tracklets: The tracklets by id.
        """
        rows = (
            (one.name, one.camera, one.start, one.end, frames_text(one.frames), number)
            for number, one in tracklets.items()
        )
        contents = (
            (number, one.stamp or "", one.content)
            for number, one in tracklets.items()
            if one.content is not None
        )
        with self._explained():
            self._connection.executemany(
                "UPDATE tracklets SET name = ?, camera = ?, start = ?, end = ?, frames = ? "
                "WHERE id = ?",
                rows,
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", contents
            )

    def remove(self, ids: Iterable[int]) -> None:
        """Removes tracklets; unknown ids are ignored.

        Args:
            ids: Ids of the tracklets.
        """
        self._rows(f"DELETE FROM tracklets WHERE id IN {_LISTED}", json.dumps(list(ids)))

    def audit(self, entry: Mapping[str, Any]) -> None:
        """Appends an entry to the audit file beside the store.

        Args:
            entry: Plain values.
        """
        append_audit(self._path.parent / AUDIT, entry)

    def scrub(self) -> None:
        """Rewrites the files without anything of removed tracklets, not only marked as free.

        Raises:
            OSError: If the disk is full, or another process reads for longer than `TIMEOUT`.
        """
        self._rows("DELETE FROM removals")  # indices of before an erasure are not used any more
        self._rows("VACUUM")
        ((busy, *_),) = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise OSError(
                f"{self._path}-wal cannot be emptied, as another process reads it: repeat the "
                "call once that has ended."
            )

    def last_id(self) -> int:
        """Returns the highest id that was ever given; 0 if none was."""
        return self._rows(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tracklets'"
        )[0][0]

    def removals(self) -> int | None:
        """Returns the number of the last removal; None if removals are not noted."""
        # An earlier version's file that can't be changed has no trigger.
        if not self._rows("SELECT * FROM sqlite_master WHERE name = 'note_removal'"):
            return None
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'removals'")
        return rows[0][0] if rows else 0

    def removed_after(self, number: int) -> npt.NDArray[np.int64]:
        """Returns the ids of the removals after one. Shape: ``(N,)``.

        Args:
            number: Number of that removal.
        """
        rows = self._rows("SELECT id FROM removals WHERE number > ?", number)
        return np.array([one for (one,) in rows], np.int64)

    def added_before(self, moment: float | None) -> list[int]:
        """Returns the ids of tracklets that were added before a moment, in ascending order.

        Args:
            moment: Seconds since 1970; None for tracklets of which the time is not known, as an
                earlier version added them.
        """
        if moment is None:
            rows = self._rows(
                "SELECT id FROM tracklets WHERE id NOT IN (SELECT id FROM added) ORDER BY id"
            )
        else:
            rows = self._rows("SELECT id FROM added WHERE time < ? ORDER BY id", moment)
        return [number for (number,) in rows]

    def __len__(self) -> int:
        return self._rows("SELECT count(*) FROM tracklets")[0][0]

    def find(self, names: Iterable[str]) -> dict[int, GalleryTracklet]:
        """Returns the stored tracklets of some names by id.

        Args:
            names: The names.
        """
        return self._select("name", names)

    def names_of_contents(self, contents: Iterable[str]) -> dict[str, str]:
        """Returns the name of the first stored tracklet of each content that there is.

        Args:
            contents: The contents.
        """
        rows = self._rows(
            "SELECT content, name FROM contents JOIN tracklets USING (id) WHERE content IN "
            f"{_LISTED} ORDER BY id DESC",
            json.dumps([*contents]),
        )
        return dict(rows)

    def get(self, ids: Iterable[int]) -> dict[int, GalleryTracklet]:
        """Returns the stored tracklets of some ids by id.

        Args:
            ids: The ids.
        """
        return self._select("id", ids)

    def tracklets(self) -> Iterator[tuple[int, GalleryTracklet]]:
        """Yields all tracklets with their ids, ordered by id."""
        for rows in self._blocks(_WITH_CONTENTS, "tracklets.id", 0):
            yield from (tracklet_of_row(*row) for row in rows)

    def ids(self, other_than_cameras: Sequence[int] = ()) -> npt.NDArray[np.int64]:
        """Returns ids in ascending order. Shape: ``(N,)``.

        Args:
            other_than_cameras: Cameras whose tracklets are excluded.
        """
        excluded = f"camera IS NULL OR camera NOT IN {_LISTED}"
        condition = f" WHERE {excluded}" if other_than_cameras else ""
        values = (json.dumps([*other_than_cameras]),) if other_than_cameras else ()
        with self._explained():
            rows = self._connection.execute(f"SELECT id FROM tracklets{condition}", values)
            return np.sort(np.fromiter((number for (number,) in rows), np.int64))

    def features_after(
        self, number: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yields blocks of ids and features of the tracklets after an id, ordered by id.

        Args:
            number: The id.

        Shape:
            Each block: ``(N,)`` and ``(N, D)``.
        """
        for rows in self._blocks("SELECT * FROM features", "id", number):
            ids, blobs = zip(*rows, strict=True)
            features = np.frombuffer(b"".join(blobs), "<f4").reshape(len(ids), -1)
            yield np.array(ids, np.int64), features

    def features_of(self, ids: Iterable[int]) -> dict[int, npt.NDArray[np.float32]]:
        """Returns the stored features of some ids by id.

        Args:
            ids: The ids.
        """
        query = f"SELECT id, feature FROM features WHERE id IN {_LISTED}"
        rows = self._rows(query, json.dumps(list(ids)))
        return {number: np.frombuffer(feature, "<f4") for number, feature in rows}

    def _select(self, column: str, values: Iterable[str | int]) -> dict[int, GalleryTracklet]:
        query = f"{_WITH_CONTENTS} WHERE tracklets.{column} IN {_LISTED}"
        return dict(tracklet_of_row(*row) for row in self._rows(query, json.dumps(list(values))))

    def _blocks(self, chosen: str, number: str, after: int) -> Iterator[list[Any]]:
        query = f"{chosen} WHERE {number} > ? ORDER BY {number} LIMIT {BLOCK}"
        while rows := self._rows(query, after):
            yield rows
            after = rows[-1][0]

    def _make_tables(self, about: dict[str, Any]) -> None:
        with self.transaction():
            if not self._rows("SELECT * FROM sqlite_master"):
                for statement in TABLES:
                    self._rows(statement)
                self.set_about(**about)

    def _add_later_tables(self) -> None:
        try:
            with self.transaction():
                for created in (*LATER_TABLES, *NOT_TEMPORARY):
                    self._rows(f"CREATE {created}")
        except OSError:  # the file can't be changed
            for created in LATER_TABLES:
                self._rows(f"CREATE TEMP {created}")

    def _rows(self, command: str, *values: str | float | None) -> list[Any]:
        with self._explained():
            return self._connection.execute(command, values).fetchall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Translates SQLite's errors into errors that name the file and a remedy."""
        try:
            yield
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{error.object!r} is not UTF-8 text: give it another name."
            ) from error
        except sqlite3.OperationalError as error:
            raise OSError(f"{self._path} cannot be used: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{self._path} is damaged or no gallery ({error}): restore a copy, or "
                "index anew into another folder."
            ) from error
