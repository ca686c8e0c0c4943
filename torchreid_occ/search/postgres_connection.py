"""A connection to PostgreSQL that is renewed when it is lost, with errors of one clear line."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torchreid_occ.search.postgres_address import PostgresAddress, psycopg

WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds before the next try to connect
TIMEOUT = 600  # seconds for one command, and for another process's change
_OLDEST = 13  # version of PostgreSQL that pgvector 0.8 needs
# A server that says these will answer later; others, such as a wrong password, it will not mend.
_PASSING = (
    "starting up", "shutting down", "recovery mode", "not yet accepting", "too many clients",
)  # fmt: skip
_FULL = "No space left on device"


class PostgresConnection:
    """Runs commands in a schema of a database.

    Args:
        address: The server, the database and the schema.

    Raises:
        ConnectionError: If no server answers, or it does not let this user in.
        ValueError: If the server's version is too old.
    """

    def __init__(self, address: PostgresAddress) -> None:
        self.address = address
        self._vectors = False
        self._connection = self._connect()

    def rows(self, command: str, *values: Any) -> list[Any]:
        """Runs a command and returns its rows; repeats it if the connection was lost before.

        Args:
            command: The command, with ``%s`` for each value.
            *values: The values.
        """
        with self.explained():
            self._renew()
            with self._connection.cursor(binary=True) as cursor:
                cursor.execute(command, values or None)
                return cursor.fetchall() if cursor.description else []

    @contextmanager
    def transaction(self, lock: str | None = "tracklets") -> Iterator[None]:
        """Makes the changes of the block atomic.

        Args:
            lock: What of the gallery is changed: waits until no other process changes it. If None,
                all reads of the block are of one moment.
        """
        with self.explained():
            self._renew()
            with self._connection.transaction():
                if lock is not None:
                    self._connection.execute(
                        "SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))",
                        [self.address.schema, lock],
                    )
                else:
                    self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                yield

    def copy_in(self, table: str, columns: Sequence[str], types: Sequence[str], rows: Any) -> None:
        """Adds rows to a table by a binary COPY.

        Args:
            table: The table.
            columns: Names of the columns.
            types: Their types.
            rows: Tuples of values.
        """
        command = f"COPY {table} ({', '.join(columns)}) FROM STDIN WITH (FORMAT BINARY)"
        with (
            self.explained(),
            self._connection.cursor() as cursor,
            cursor.copy(command) as copy,
        ):
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def register_vectors(self) -> None:
        """Reads and writes the extension's type as arrays, wherever it is installed."""
        from pgvector.psycopg import register_vector

        with self.explained():
            ((extension,),) = self._connection.execute(
                "SELECT nspname FROM pg_extension JOIN pg_namespace ON extnamespace = "
                "pg_namespace.oid WHERE extname = 'vector'"
            ).fetchall()
            path = f'"{self.address.schema}", "{extension}"'
            self._connection.execute(f"SET search_path = {path}")
            register_vector(self._connection)
        self._vectors = True

    def _renew(self) -> None:
        if self._connection.closed:
            self._connection = self._connect()
            if self._vectors:
                self.register_vectors()

    def _connect(self) -> Any:
        for wait in (*WAITS, None):
            try:
                connection = psycopg().connect(
                    **self.address.parameters, autocommit=True, prepare_threshold=None
                )
                break
            except psycopg().OperationalError as error:
                text = self.address.without_password(" ".join(str(error).split())).rstrip("?.")
                passing = "FATAL" not in text or any(part in text for part in _PASSING)
                if wait is None or not passing:
                    raise ConnectionError(f"{self.address} cannot be reached: {text}.") from None
                time.sleep(wait)
        version = connection.info.server_version // 10000
        if version < _OLDEST:
            connection.close()
            raise ValueError(
                f"{self.address} is PostgreSQL {version}, but {_OLDEST} or later is needed."
            )
        milliseconds = 1000 * TIMEOUT
        for setting in (
            f"lock_timeout = {milliseconds}",
            f"statement_timeout = {milliseconds}",
            "jit = off",  # compiling takes longer than a search
            f'search_path = "{self.address.schema}"',
        ):
            connection.execute(f"SET {setting}")
        return connection

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Lets the commands of the block, such as building an index, take any time."""
        self.rows("SET statement_timeout = 0")
        try:
            yield
        finally:
            if not self._connection.closed:
                self.rows(f"SET statement_timeout = {1000 * TIMEOUT}")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Translates errors of the server into errors that name it and a remedy."""
        try:
            yield
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{error.object!r} is not UTF-8 text: give it another name."
            ) from error
        except psycopg().Error as error:
            raise self._explanation(error) from error

    def _explanation(self, error: Any) -> Exception:
        errors, place = psycopg().errors, self.address
        text = place.without_password(str(error).partition("\n")[0])
        if isinstance(error, errors.DiskFull) or _FULL in text:  # of its log: the server ends
            return OSError(f"The disk of {place} is full, and nothing of the change is stored.")
        if self._connection.closed:
            return ConnectionError(
                f"The connection to {place} was lost, and nothing of the change is stored: repeat "
                f"the call ({text})."
            )
        if isinstance(error, (errors.QueryCanceled, errors.LockNotAvailable)):
            return TimeoutError(f"{place} was given up after {TIMEOUT} s: {text}.")
        if isinstance(error, (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)):
            return PermissionError(f"{place} does not allow this: {text}.")
        if isinstance(error, (errors.UndefinedTable, errors.InvalidSchemaName)):
            return FileNotFoundError(f"There is no gallery in {place} any more: {text}.")
        return OSError(f"{place} cannot do this: {text}.")
