"""Makes the collections of a gallery in Qdrant, and anew without what was removed.

Names of galleries are aliases. What was deleted stays in the files of a collection until Qdrant
rewrites them; a copy, to which the aliases are switched, holds nothing of it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torchreid_occ.search.qdrant_connection import QdrantConnection
from torchreid_occ.search.qdrant_lock import QdrantLock
from torchreid_occ.utils.progress import progress

ABOUT = "about"  # record of what is known of the gallery
BLOCK = 64  # points copied at a time; a server takes 32 MiB
# Values of tracklets that are searched for.
_INDEXED = {"name": "keyword", "content": "keyword", "camera": "integer", "added": "float"}


def create_collections(connection: QdrantConnection, about: Mapping[str, Any]) -> None:
    """Makes the collections of a gallery, if there is none; a killed call is continued.

    Args:
        connection: The connection.
        about: What is known of the gallery.

    Raises:
        ValueError: If the gallery's name is that of a collection.
    """
    if connection("collection_exists", connection.records):
        return
    if connection("collection_exists", connection.tracklets):
        raise ValueError(
            f"{connection.address} is a collection, but no gallery: choose another name."
        )
    tracklets, records = f"{connection.tracklets}.1", f"{connection.records}.1"
    _make(connection, records)
    # The first of several processes decides.
    connection.write_record(ABOUT, about, where={"format": 0}, collection=records)
    stored = connection.record(ABOUT, collection=records)
    _make(connection, tracklets, stored["feature_dim"])
    _set_aliases(connection, tracklets, records)


def renew_collections(connection: QdrantConnection, locks: Sequence[QdrantLock]) -> None:
    """Copies the collections, switches to the copies, and deletes all others of the gallery.

    Args:
        connection: The connection.
        locks: Locks of all that is copied.

    Raises:
        OSError: If a copy is not complete, or a lock was lost.
    """
    aliases = {one.alias_name: one.collection_name for one in connection("get_aliases").aliases}
    former = [aliases[connection.tracklets], aliases[connection.records]]
    number = int(former[0].rpartition(".")[2]) + 1
    new = [f"{connection.tracklets}.{number}", f"{connection.records}.{number}"]
    for name in new:  # of a call that was killed
        connection("delete_collection", name)
    _make(connection, new[0], connection.record(ABOUT)["feature_dim"])
    _copy(connection, former[0], new[0])
    _make(connection, new[1])
    for lock in locks:
        lock.keep()
        lock.rest()  # as its record is copied, too
    _copy(connection, former[1], new[1])
    _set_aliases(connection, *new)
    own = re.compile(rf"{re.escape(connection.tracklets)}(\.records)?\.\d+")
    for name in [one.name for one in connection("get_collections").collections]:
        if own.fullmatch(name) and name not in new:
            connection("delete_collection", name)


def _make(connection: QdrantConnection, name: str, feature_dim: int | None = None) -> None:
    """Makes a collection of tracklets, or of records if no dimension is given, if it is missing."""
    models = connection.models
    vectors = models.VectorParams(size=feature_dim or 1, distance=models.Distance.DOT)
    given = vectors if feature_dim is not None else {"none": vectors}  # which no record has
    if not connection("collection_exists", name):
        try:
            connection("create_collection", name, vectors_config=given)
        except OSError:
            if not connection("collection_exists", name):  # another process has made it
                raise
    if feature_dim is not None:
        for key, kind in _INDEXED.items():  # again, too, as a kill may have come before
            connection("create_payload_index", name, key, models.PayloadSchemaType(kind))


def _copy(connection: QdrantConnection, source: str, target: str) -> None:
    count = connection("count", source, exact=True).count
    for points in progress(_blocks(connection, source), "copying", -(-count // BLOCK), "block"):
        connection("upsert", target, points, ordering=connection.models.WriteOrdering.STRONG)
    copied = connection("count", target, exact=True).count
    if copied != count:
        raise OSError(
            f"{connection.address} has {count} points in {source}, but {copied} are in its copy: "
            "repeat the call."
        )


def _blocks(connection: QdrantConnection, source: str) -> Iterator[list[Any]]:
    following, first = None, True
    while first or following is not None:
        points, following = connection(
            "scroll", source, limit=BLOCK, offset=following, with_payload=True, with_vectors=True
        )
        first = False
        if points:
            yield [
                connection.models.PointStruct(
                    id=point.id, vector={} if point.vector is None else point.vector,
                    payload=point.payload,
                )
                for point in points
            ]  # fmt: skip


def _set_aliases(connection: QdrantConnection, tracklets: str, records: str) -> None:
    """Lets the gallery's names lead to collections, in one request."""
    models = connection.models
    pairs = ((connection.tracklets, tracklets), (connection.records, records))
    changes = [
        models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=collection, alias_name=alias)
        )
        for alias, collection in pairs
    ]
    connection("update_collection_aliases", changes)
