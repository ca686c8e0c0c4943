"""What a gallery keeps besides its tracklets: a calibration, and people with their corrections.

They are files in the folder of a gallery, rows of a table in PostgreSQL, or records in Qdrant; each
is replaced as a whole, so that a kill at any point leaves it before or after a change.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

from torchreid_occ.search.postgres_connection import PostgresConnection
from torchreid_occ.search.qdrant_connection import QdrantConnection
from torchreid_occ.search.qdrant_lock import QdrantLock, locked
from torchreid_occ.utils.files import remove_partial_files, replacing
from torchreid_occ.utils.locks import wait_for_lock

CALIBRATION, IDENTITIES = "calibration.npz", "identities.json"


class FolderDocuments:
    """Documents that are files of a folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place_of(self, name: str) -> str:
        """Returns where a document is, for messages.

        Args:
            name: Name of the document.
        """
        return str(self._folder / name)

    def read(self, name: str) -> bytes | None:
        """Returns the content of a document; None if there is none.

        Args:
            name: Name of the document.
        """
        path = self._folder / name
        return path.read_bytes() if path.is_file() else None

    def write(self, name: str, content: bytes | None) -> None:
        """Replaces or removes a document.

        Args:
            name: Name of the document.
            content: Its content; None removes it.
        """
        if content is None:
            (self._folder / name).unlink(missing_ok=True)
            return
        with replacing(self._folder / name) as file:
            file.write(content)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process at a time change the documents; removes what a killed one left."""
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            wait_for_lock(handle)
            for name in (CALIBRATION, IDENTITIES):
                remove_partial_files(self._folder, name)
            yield
        finally:
            os.close(handle)


class PostgresDocuments:
    """Documents of a gallery in a database; they offer the methods of `FolderDocuments`.

    Args:
        connection: Connection to the gallery.
    """

    def __init__(self, connection: PostgresConnection) -> None:
        self._connection = connection

    def place_of(self, name: str) -> str:
        """Returns where a document is, for messages.

        Args:
            name: Name of the document.
        """
        return f"{name} of {self._connection.address}"

    def read(self, name: str) -> bytes | None:
        """Returns the content of a document; None if there is none.

        Args:
            name: Name of the document.
        """
        rows = self._connection.rows("SELECT content FROM documents WHERE name = %s", name)
        return bytes(rows[0][0]) if rows else None

    def write(self, name: str, content: bytes | None) -> None:
        """Replaces or removes a document.

        Args:
            name: Name of the document.
            content: Its content; None removes it.
        """
        if content is None:
            self._connection.rows("DELETE FROM documents WHERE name = %s", name)
            return
        self._connection.rows(
            "INSERT INTO documents VALUES (%s, %s) ON CONFLICT (name) DO UPDATE "
            "SET content = EXCLUDED.content",
            name,
            content,
        )

    def locked(self) -> AbstractContextManager[None]:
        """Lets one process at a time change the documents, and makes its changes atomic."""
        return self._connection.transaction(lock="documents")


class QdrantDocuments:
    """Documents of a gallery in Qdrant; they offer the methods of `FolderDocuments`.

    Args:
        connection: Connection to the gallery.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection
        self._lock: QdrantLock | None = None

    def place_of(self, name: str) -> str:
        """Returns where a document is, for messages.

        Args:
            name: Name of the document.
        """
        return f"{name} of {self._connection.address}"

    def read(self, name: str) -> bytes | None:
        """Returns the content of a document; None if there is none.

        Args:
            name: Name of the document.
        """
        content = self._connection.record(f"document {name}").get("content")
        return None if content is None else b64decode(content)

    def write(self, name: str, content: bytes | None) -> None:
        """Replaces or removes a document.

        Args:
            name: Name of the document.
            content: Its content; None removes it.
        """
        key = f"document {name}"
        if self._lock is not None:
            self._lock.keep()
        if content is None:
            self._connection.delete_record(key)
        else:
            self._connection.write_record(key, {"content": b64encode(content).decode()})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process at a time change the documents."""
        with locked(self._connection, "documents") as self._lock:
            try:
                yield
            finally:
                self._lock = None


Documents: TypeAlias = FolderDocuments | PostgresDocuments | QdrantDocuments
