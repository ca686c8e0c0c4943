"""Engines that keep galleries: SQLite with FAISS in a folder, PostgreSQL with pgvector, Qdrant."""

from pathlib import Path
from typing import Any, TypeAlias

from torchreid_occ._types import StrPath
from torchreid_occ.search.documents import (
    Documents,
    FolderDocuments,
    PostgresDocuments,
    QdrantDocuments,
)
from torchreid_occ.search.faiss_library import faiss
from torchreid_occ.search.index import KINDS
from torchreid_occ.search.postgres import PostgresStore
from torchreid_occ.search.postgres_address import PostgresAddress, is_postgres_address
from torchreid_occ.search.postgres_index import PostgresIndex
from torchreid_occ.search.qdrant import QdrantStore
from torchreid_occ.search.qdrant_address import QdrantAddress, is_qdrant_address
from torchreid_occ.search.qdrant_index import QdrantIndex
from torchreid_occ.search.store import TrackletStore
from torchreid_occ.search.stored_index import StoredIndex

FILE = "gallery.sqlite"


# They offer the same methods to a gallery.
Store: TypeAlias = TrackletStore | PostgresStore | QdrantStore
Index: TypeAlias = StoredIndex | PostgresIndex | QdrantIndex


def is_address(place: StrPath) -> bool:
    """Returns whether the place of a gallery is the address of one on a server.

    Args:
        place: Folder or address.
    """
    return is_postgres_address(place) or is_qdrant_address(place)


def kinds_of(place: StrPath) -> tuple[str, ...]:
    """Returns the kinds of index that a gallery can have.

    Args:
        place: A folder or an address.
    """
    if is_postgres_address(place):
        return PostgresIndex.KINDS
    return QdrantIndex.KINDS if is_qdrant_address(place) else KINDS


def open_engine(
    place: StrPath, about: dict[str, Any] | None = None
) -> tuple[str, Store, Index, Documents]:
    """Opens the engine of a gallery.

    Args:
        place: A folder, or an address, see `PostgresAddress` and `QdrantAddress`.
        about: Values about a new gallery, which is created if there is none; None to open one.

    Returns:
        The folder or the address, without a password; the tracklets; the search in them; and what
        else the gallery keeps.

    Raises:
        FileNotFoundError: If there is no gallery.
        ImportError: If a package that the engine needs is not installed.
        ValueError: If the gallery is damaged, or the address or the server is none for galleries.
        OSError: If a file or a server does not allow it.
    """
    if is_postgres_address(place):
        address = PostgresAddress(str(place))
        in_database = PostgresStore(address, about)
        documents = PostgresDocuments(in_database.connection)
        return str(address), in_database, PostgresIndex(in_database), documents
    if is_qdrant_address(place):
        server = QdrantAddress(str(place))
        points = QdrantStore(server, about)
        return str(server), points, QdrantIndex(points), QdrantDocuments(points.connection)
    return _open_folder(place, about)


def _open_folder(
    place: StrPath, about: dict[str, Any] | None
) -> tuple[str, Store, Index, Documents]:
    scheme = str(place).partition(":")[0]
    if is_address(f"{scheme}://") and str(place).startswith(f"{scheme}:"):
        raise ValueError(
            f"The address of a gallery begins with {scheme}:// and is text: as a path it loses a "
            "slash."
        )
    folder = Path(place).expanduser()
    if about is not None:
        faiss()  # fails now, not once tracklets were extracted
    elif not (folder / FILE).is_file():
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
