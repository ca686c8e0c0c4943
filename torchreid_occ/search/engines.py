"""Engines that keep galleries: SQLite with FAISS in a folder, or PostgreSQL with pgvector."""

from pathlib import Path
from typing import Any, TypeAlias

from torchreid_occ._types import StrPath
from torchreid_occ.search.documents import FolderDocuments, PostgresDocuments
from torchreid_occ.search.index import KINDS
from torchreid_occ.search.postgres import PostgresStore
from torchreid_occ.search.postgres_address import PostgresAddress, is_postgres_address
from torchreid_occ.search.postgres_index import PostgresIndex
from torchreid_occ.search.store import TrackletStore
from torchreid_occ.search.stored_index import StoredIndex

FILE = "gallery.sqlite"


# They offer the same methods to a gallery.
Store: TypeAlias = TrackletStore | PostgresStore
Index: TypeAlias = StoredIndex | PostgresIndex
Documents: TypeAlias = FolderDocuments | PostgresDocuments


def kinds_of(place: StrPath) -> tuple[str, ...]:
    """Returns the kinds of index that a gallery can have.

    Args:
        place: A folder, or an address that begins with ``postgresql://``.
    """
    return PostgresIndex.KINDS if is_postgres_address(place) else KINDS


def open_engine(
    place: StrPath, about: dict[str, Any] | None = None
) -> tuple[str, Store, Index, Documents]:
    """Opens the engine of a gallery.

    Args:
        place: A folder, or an address that begins with ``postgresql://``, see `PostgresAddress`.
        about: Values about a new gallery, which is created if there is none; None to open one.

    Returns:
        The folder or the address, without a password; the tracklets; the search in them; and what
        else the gallery keeps.

    Raises:
        FileNotFoundError: If there is no gallery.
        ValueError: If the gallery is damaged, or the address or the server is none for galleries.
        OSError: If a file or a server does not allow it.
    """
    if is_postgres_address(place):
        address = PostgresAddress(str(place))
        in_database = PostgresStore(address, about)
        documents = PostgresDocuments(in_database.connection)
        return str(address), in_database, PostgresIndex(in_database), documents
    if str(place).startswith(("postgresql:", "postgres:")):  # as a path it has lost a slash
        raise ValueError(
            "The address of a gallery in PostgreSQL begins with postgresql:// and is text: as a "
            "path it loses a slash."
        )
    folder = Path(place).expanduser()
    if about is None and not (folder / FILE).is_file():
        raise FileNotFoundError(
            f"There is no gallery in {folder}: `torchreid-occ search index` makes one."
        )
    store = TrackletStore(folder / FILE, about)
    index = StoredIndex(store, folder, store.about("feature_dim"))
    return str(folder), store, index, FolderDocuments(folder)


def begin_erasure(store: Store, removed: int) -> int:
    """Notes in the caller's transaction that tracklets were removed; `scrub` is to follow.

    Args:
        store: The store.
        removed: Number of the tracklets.

    Returns:
        The number removed, with those of erasures that were interrupted.
    """
    erased: int = (store.about("erasing") or 0) + removed
    # Indices of before are not used any more.
    erasures = (store.about("erasures") or 0) + 1
    store.set_about(erasing=erased, erasures=erasures, index_file=None)
    return erased
