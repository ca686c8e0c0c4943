"""Galleries in PostgreSQL, whose extension pgvector finds the nearest features.

A gallery is a schema of a database. Features are stored at unit length, so that their inner product
is the cosine similarity, also for features of zeros, which pgvector's cosine distance leaves out.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.postgres_address import PostgresAddress, psycopg
from torchreid_occ.search.postgres_connection import PostgresConnection
from torchreid_occ.search.protocol import unit_features
from torchreid_occ.search.stored_frames import frames_text, tracklet_of_row
from torchreid_occ.search.tracklets import GalleryTracklet

FORMAT = 1
BLOCK = 4096  # rows received at a time
EXTENSION = (0, 8)  # first version of pgvector with iterative scans
_COLUMNS = {
    "id": "int8", "name": "text", "camera": "int4", "start": "float8", '"end"': "float8",
    "frames": "text", "stamp": "text", "content": "text", "added": "float8", "feature": "vector",
}  # fmt: skip
_TRACKLET = ", ".join([*_COLUMNS][:8])
_TABLES = (
    "CREATE TABLE about (key text PRIMARY KEY, value text)",
    "CREATE TABLE audit (number bigint GENERATED ALWAYS AS IDENTITY, entry text NOT NULL)",
    "CREATE TABLE tracklets (id int8 PRIMARY KEY, name text NOT NULL UNIQUE, camera int4, "
    'start float8, "end" float8, frames text NOT NULL, stamp text, content text, '
    "added float8 NOT NULL, feature vector({dim}) NOT NULL)",
    "CREATE INDEX by_content ON tracklets (content)",
    "CREATE TABLE documents (name text PRIMARY KEY, content bytea NOT NULL)",
    # ANALYZE would copy values into pg_statistic, where they outlive the tracklets.
    "ALTER TABLE documents ALTER content SET STATISTICS 0",
    *(
        f"ALTER TABLE tracklets ALTER {column} SET STATISTICS 0"
        for column in ("name", "frames", "stamp", "content", "feature")
    ),
)
_CREATE_EXTENSION = "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public"
_WAITS = (0.1, 0.4, 1, 2, 4, 8)  # seconds, for sessions that still see what was removed


class PostgresStore:
    """Tracklets with ids and features in a schema that several processes may change.

    Args:
        address: The server, the database and the schema.
        about: Values of `about` in a new store, which is created if there is none; None to open an
            existing store.

    Raises:
        FileNotFoundError: If there is no store.
        ConnectionError: If no server answers, or it does not let this user in.
        PermissionError: If the user may not create the extension or the schema.
        ValueError: If the server or its extension is too old, or it lacks the extension.
    """

    def __init__(self, address: PostgresAddress, about: dict[str, Any] | None = None) -> None:
        self.connection = PostgresConnection(address)
        self._rows = self.connection.rows
        if about is not None:
            with self.transaction():
                self._make_tables(about)
        schema = address.schema
        ((allowed,),) = self._rows(
            "SELECT has_schema_privilege(to_regnamespace(%s), 'USAGE')", schema
        )
        if allowed is False:
            raise PermissionError(f"This user of {address} may not use the schema {schema}.")
        found = self._rows("SELECT to_regclass('about') IS NOT NULL")[0][0]
        if not found or self.about("format") != FORMAT:
            raise FileNotFoundError(
                f"There is no gallery in {address}: `torchreid-occ search index` makes one."
            )
        self._check_extension()
        self.connection.register_vectors()

    def transaction(self) -> AbstractContextManager[None]:
        """Makes the changes of the block atomic, and waits for those of other processes."""
        return self.connection.transaction()

    def about(self, key: str) -> Any:
        """Returns a value about the store, or None.

        Args:
            key: Name of the value.
        """
        rows = self._rows("SELECT value FROM about WHERE key = %s", key)
        return json.loads(rows[0][0]) if rows else None

    def set_about(self, **values: str | float | None) -> None:
        """Stores values about the store.

        Args:
            **values: The values by name.
        """
        for key, value in values.items():
            self._rows(
                "INSERT INTO about VALUES (%s, %s) ON CONFLICT (key) DO UPDATE "
                "SET value = EXCLUDED.value",
                key,
                json.dumps(value),
            )

    def audit(self, entry: Mapping[str, Any]) -> None:
        """Appends an entry to the table of audits.

        Args:
            entry: Plain values.
        """
        self._rows("INSERT INTO audit (entry) VALUES (%s)", json.dumps(entry))

    def add(
        self, tracklets: Sequence[GalleryTracklet], features: npt.NDArray[np.floating[Any]]
    ) -> list[int]:
        """Adds tracklets of new names in the caller's transaction and returns their ids.

        Args:
            tracklets: The tracklets.
            features: Their features. Shape: ``(N, D)``.
        """
        last = self.last_id()
        ids = range(last + 1, last + 1 + len(tracklets))
        self.set_about(last_id=last + len(tracklets))
        now = time.time()
        rows = (
            (number, *one[:1], one.camera, one.start, one.end, frames_text(one.frames),
             one.stamp, one.content, now, feature)
            for number, one, feature in zip(ids, tracklets, unit_features(features), strict=True)
        )  # fmt: skip
        self.connection.copy_in("tracklets", [*_COLUMNS], [*_COLUMNS.values()], rows)
        return list(ids)

    def set_frames(self, tracklets: Mapping[int, GalleryTracklet]) -> None:
        """Stores all that is known of stored tracklets except for their features.

        Args:
            tracklets: The tracklets by id.
        """
        for number, one in tracklets.items():
            self._rows(
                'UPDATE tracklets SET name = %s, camera = %s, start = %s, "end" = %s, frames = %s, '
                "stamp = coalesce(%s, stamp), content = coalesce(%s, content) WHERE id = %s",
                one.name, one.camera, one.start, one.end, frames_text(one.frames), one.stamp,
                one.content, number,
            )  # fmt: skip

    def remove(self, ids: Iterable[int]) -> None:
        """Removes tracklets; unknown ids are ignored.

        Args:
            ids: Ids of the tracklets.
        """
        self._rows("DELETE FROM tracklets WHERE id = ANY(%s)", [*ids])

    def scrub(self) -> None:
        """Rewrites the tables without anything of removed tracklets, not only marked as free.

        Raises:
            OSError: If another session of the database still sees the removed tracklets.
        """
        ((moment,),) = self._rows("SELECT pg_current_xact_id()::xid::text")
        for wait in (*_WAITS, None):
            # The rewriting keeps what an older snapshot may read.
            older = self._rows(
                "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
                "current_database() AND age(backend_xmin) > age(%s::text::xid)",
                moment,
            )
            if not older:
                break
            if wait is None:
                processes = ", ".join(str(pid) for (pid,) in older)
                raise OSError(
                    f"Other sessions of {self.connection.address} still see what was removed "
                    f"(server processes {processes}): repeat the call once they have ended."
                )
            time.sleep(wait)
        with self.connection.unhurried():
            for table in ("tracklets", "about", "documents"):
                self._rows(f"VACUUM (FULL) {table}")

    def last_id(self) -> int:
        """Returns the highest id that was ever given; 0 if none was."""
        return self.about("last_id") or 0

    def added_before(self, moment: float | None) -> list[int]:
        """Returns the ids of tracklets that were added before a moment, in ascending order.

        Args:
            moment: Seconds since 1970; None for tracklets of which the time is not known.
        """
        if moment is None:
            return []
        rows = self._rows("SELECT id FROM tracklets WHERE added < %s ORDER BY id", moment)
        return [number for (number,) in rows]

    def __len__(self) -> int:
        return self._rows("SELECT count(*) FROM tracklets")[0][0]

    def find(self, names: Iterable[str]) -> dict[int, GalleryTracklet]:
        """Returns the stored tracklets of some names by id.

        Args:
            names: The names.
        """
        query = f"SELECT {_TRACKLET} FROM tracklets WHERE name = ANY(%s)"
        return dict(tracklet_of_row(*row) for row in self._rows(query, [*names]))

    def names_of_contents(self, contents: Iterable[str]) -> dict[str, str]:
        """Returns the name of the first stored tracklet of each content that there is.

        Args:
            contents: The contents.
        """
        query = "SELECT content, name FROM tracklets WHERE content = ANY(%s) ORDER BY id DESC"
        return dict(self._rows(query, [*contents]))

    def get(self, ids: Iterable[int]) -> dict[int, GalleryTracklet]:
        """Returns the stored tracklets of some ids by id.

        Args:
            ids: The ids.
        """
        query = f"SELECT {_TRACKLET} FROM tracklets WHERE id = ANY(%s)"
        return dict(tracklet_of_row(*row) for row in self._rows(query, [*ids]))

    def features_of(self, ids: Iterable[int]) -> dict[int, npt.NDArray[np.float32]]:
        """Returns the stored features of some ids by id.

        Args:
            ids: The ids.
        """
        rows = self._rows("SELECT id, feature FROM tracklets WHERE id = ANY(%s)", [*ids])
        return {number: feature.to_numpy() for number, feature in rows}

    def tracklets(self) -> Iterator[tuple[int, GalleryTracklet]]:
        """Yields all tracklets with their ids, ordered by id."""
        for rows in self._blocks(_TRACKLET, 0):
            yield from (tracklet_of_row(*row) for row in rows)

    def ids(self) -> npt.NDArray[np.int64]:
        """Returns ids in ascending order. Shape: ``(N,)``."""
        rows = self._rows("SELECT id FROM tracklets ORDER BY id")
        return np.fromiter((number for (number,) in rows), np.int64, len(rows))

    def features_after(
        self, number: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yields blocks of ids and features of the tracklets after an id, ordered by id.

        Args:
            number: The id.

        Shape:
            Each block: ``(N,)`` and ``(N, D)``.
        """
        for rows in self._blocks("id, feature", number):
            ids, features = zip(*rows, strict=True)
            yield np.array(ids, np.int64), np.stack([one.to_numpy() for one in features])

    def _blocks(self, columns: str, after: int) -> Iterator[list[Any]]:
        query = f"SELECT {columns} FROM tracklets WHERE id > %s ORDER BY id LIMIT {BLOCK}"
        while rows := self._rows(query, after):
            yield rows
            after = rows[-1][0]

    def _make_tables(self, about: dict[str, Any]) -> None:
        address = self.connection.address
        self._create_extension()
        self._rows(f'CREATE SCHEMA IF NOT EXISTS "{address.schema}"')
        if self._rows("SELECT to_regclass('about') IS NULL")[0][0]:
            self.connection.register_vectors()
            for statement in _TABLES:
                self._rows(statement.format(dim=about["feature_dim"]))
            self.set_about(format=FORMAT, last_id=0, **about)

    def _create_extension(self) -> None:
        if self._rows("SELECT * FROM pg_extension WHERE extname = 'vector'"):
            return
        address, errors = self.connection.address, psycopg().errors
        try:
            self._rows(_CREATE_EXTENSION)
        except PermissionError as error:
            raise PermissionError(
                f"{address} lacks the extension vector, and this user may not create it: let an "
                "administrator run CREATE EXTENSION vector there."
            ) from error
        except OSError as error:
            if isinstance(error.__cause__, (errors.UndefinedFile, errors.FeatureNotSupported)):
                raise ValueError(
                    f"The server of {address} has no pgvector: install it there (its packages are "
                    "named postgresql-18-pgvector and the like), or use another server."
                ) from error
            raise

    def _check_extension(self) -> None:
        ((version,),) = self._rows("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        if tuple(int(part) for part in version.split(".")[:2]) < EXTENSION:
            wanted = ".".join(map(str, EXTENSION))
            raise ValueError(
                f"{self.connection.address} has pgvector {version}, but {wanted} or later is "
                "needed: install it and run ALTER EXTENSION vector UPDATE there."
            )
