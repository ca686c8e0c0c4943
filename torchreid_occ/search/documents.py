"""What a gallery keeps besides its tracklets: a calibration, and people with their corrections.

They are files in the folder of a gallery, or rows of a table in its database; each is replaced as
a whole, so that a kill at any point leaves it before or after a change.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from torchreid_occ.search.postgres_connection import PostgresConnection
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
