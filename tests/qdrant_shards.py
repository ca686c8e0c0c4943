"""Qdrant's own engine, of the package qdrant-edge-py, behind the methods of its client.

No package has the server. A collection is one shard here; requests are carried out in turn.
"""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

VERSION = "1.20.0"  # of the server whose client this stands for


class Shards:
    """The part of ``QdrantClient`` that galleries use.

    Attributes: the folder of the collections, whether they have write-ahead logs, of 64 MiB each,
    and the most points that a search by the graph finds.
    """

    def __init__(self, folder, logs):
        from qdrant_client.http import models

        self.models, self.folder, self.logs, self.graph = models, Path(folder), logs, None
        self.shards, self.aliases = {}, {}

    def close(self):
        for shard in self.shards.values():
            shard.close()

    def info(self):
        return SimpleNamespace(version=VERSION)

    def create_collection(self, name, vectors_config):
        import qdrant_edge as edge

        if name in self.shards:
            raise ValueError(f"Collection {name} already exists")
        if isinstance(vectors_config, dict):
            vectors = {key: _vectors(one) for key, one in vectors_config.items()}
        else:
            vectors = _vectors(vectors_config)
        config = edge.EdgeConfig(vectors=vectors, wal_enabled=self.logs)
        self.shards[name] = edge.EdgeShard.create(str(self.folder / name), config)
        return True

    def delete_collection(self, name):
        shard = self.shards.pop(name, None)
        if shard is not None:
            shard.close()
            shutil.rmtree(self.folder / name)
        return shard is not None

    def collection_exists(self, name):
        return self.aliases.get(name, name) in self.shards

    def get_collections(self):
        found = [self.models.CollectionDescription(name=name) for name in self.shards]
        return self.models.CollectionsResponse(collections=found)

    def get_aliases(self):
        found = [
            self.models.AliasDescription(alias_name=alias, collection_name=name)
            for alias, name in self.aliases.items()
        ]
        return self.models.CollectionsAliasesResponse(aliases=found)

    def update_collection_aliases(self, actions):
        for action in actions:
            made = action.create_alias
            self.aliases[made.alias_name] = made.collection_name
        return True

    def create_payload_index(self, name, field, schema):
        import qdrant_edge as edge

        kind = getattr(edge.PayloadSchemaType, schema.value.capitalize())
        self._update(name, edge.UpdateOperation.create_field_index(field, kind))

    def upsert(self, name, points, update_filter=None, **_):
        self._update(name, _upserting(points, update_filter))

    def batch_update_points(self, name, operations, **_):
        import qdrant_edge as edge

        for operation in operations:
            if isinstance(operation, self.models.UpsertOperation):
                self._update(name, _upserting(operation.upsert.points))
            elif isinstance(operation, self.models.DeleteOperation):
                self.delete(name, operation.delete)
            else:
                change = operation.set_payload
                make = edge.UpdateOperation.set_payload_by_filter
                self._update(name, make(_filter(change.filter), change.payload))
        return operations

    def delete(self, name, chosen, **_):
        import qdrant_edge as edge

        self._update(name, edge.UpdateOperation.delete_points(chosen.points))

    def retrieve(self, name, ids, with_payload=True, with_vectors=False, **_):
        found = self._shard(name).retrieve(ids, with_payload, with_vectors)
        return [self._record(one) for one in found]

    def scroll(
        self, name, scroll_filter=None, limit=10, offset=None, with_payload=True, with_vectors=False
    ):
        import qdrant_edge as edge

        request = edge.ScrollRequest(
            offset, limit, _filter(scroll_filter), with_payload, with_vectors
        )
        found, following = self._shard(name).scroll(request)
        return [self._record(one) for one in found], _plain_id(following)

    def count(self, name, exact=True):
        import qdrant_edge as edge

        count = self._shard(name).count(edge.CountRequest(exact=exact))
        return self.models.CountResult(count=count)

    def query_points(
        self, name, query, query_filter=None, limit=10, with_payload=True, with_vectors=False,
        search_params=None,
    ):  # fmt: skip
        import qdrant_edge as edge

        exact = search_params.exact
        found = self._shard(name).query(
            edge.QueryRequest(
                limit=min(limit, limit if exact else self.graph or limit),
                query=edge.Query.Nearest(getattr(query, "nearest", query)),
                filter=_filter(query_filter),
                with_payload=with_payload,
                with_vector=with_vectors,
                params=edge.SearchParams(hnsw_ef=search_params.hnsw_ef, exact=exact),
            )
        )
        points = [
            self.models.ScoredPoint(id=one.id, version=one.version, score=one.score,
                                    payload=one.payload, vector=one.vector or None)
            for one in found
        ]  # fmt: skip
        return self.models.QueryResponse(points=points)

    def build_graph(self, name):
        """Builds the graph, as a server does by itself from some thousands of points on."""
        while self._shard(name).optimize():
            pass

    def _shard(self, name):
        name = self.aliases.get(name, name)
        if name not in self.shards:
            raise ValueError(f"Collection {name} not found")
        return self.shards[name]

    def _update(self, name, operation):
        self._shard(name).update(operation)

    def _record(self, one):
        identity = _plain_id(one.id)
        return self.models.Record(id=identity, payload=one.payload, vector=one.vector or None)


def _vectors(wanted):
    import qdrant_edge as edge

    return edge.EdgeVectorParams(wanted.size, getattr(edge.Distance, wanted.distance.value))


def _plain_id(identity):
    return identity if isinstance(identity, (int, type(None))) else str(identity)


def _upserting(points, condition=None):
    import qdrant_edge as edge

    made = [edge.Point(one.id, one.vector, one.payload) for one in points]
    return edge.UpdateOperation.upsert_points(made, condition=_filter(condition))


def _filter(wanted):
    import qdrant_edge as edge

    if wanted is None:
        return None
    parts = (wanted.must or [], wanted.must_not or [])
    must, must_not = ([_condition(one) for one in part] for part in parts)
    return edge.Filter(must=must, must_not=must_not)


def _condition(wanted):
    import qdrant_edge as edge

    if hasattr(wanted, "has_id"):
        return edge.HasIdCondition({*wanted.has_id})
    if wanted.range is not None:
        return edge.FieldCondition(wanted.key, range=edge.RangeFloat(lt=wanted.range.lt))
    several = getattr(wanted.match, "any", None)
    match = edge.MatchAny(several) if several is not None else edge.MatchValue(wanted.match.value)
    return edge.FieldCondition(wanted.key, match=match)


@contextmanager
def shards_in(folder=None):
    """Gives an engine whose collections are in a folder, with logs, or in one that is removed."""
    made = folder or tempfile.mkdtemp(prefix="qdrant-")
    shards = Shards(made, logs=folder is not None)
    try:
        yield shards
    finally:
        shards.close()
        if folder is None:
            shutil.rmtree(made)
