"""Requests to a Qdrant server: repeated when they fail, with errors of one clear line.

Qdrant has no transactions. What it has since version 1.16 are conditional updates: a record is
replaced only if it still is as expected. Locks and ids that are never given twice rest on them.
"""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from torchreid_occ.search.qdrant_address import KEY, QdrantAddress, qdrant_client

WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds before the next try of a request
REQUEST = 60  # seconds for a request
_PASSING = (429, 502, 503, 504)  # statuses of servers that are busy or starting
_OLDEST = (1, 16)  # version with conditional updates; earlier ones ignore the conditions
_RECORDS = UUID("6f7f6b1e-8f6c-4d7e-9a55-0d6c3f6e2b11")


def connect(address: QdrantAddress) -> Any:
    """Returns a client of the server at an address.

    Args:
        address: The address.
    """
    return qdrant_client().QdrantClient(
        url=address.url,
        api_key=address.key,
        timeout=REQUEST,
        check_compatibility=False,
        verify=address.url.startswith("https"),  # else it would read certificates for nothing
    )


class QdrantConnection:
    """Sends requests to a server.

    Args:
        address: The server, and the name of the gallery.

    Attributes:
        address: The address.
        tracklets: Alias of the collection of tracklets.
        records: Alias of the collection of what else is known of the gallery.

    Raises:
        ConnectionError: If no server answers.
        PermissionError: If it does not let this client in.
        ValueError: If the server's version is too old.
    """

    def __init__(self, address: QdrantAddress) -> None:
        self.address = address
        self.tracklets, self.records = address.name, f"{address.name}.records"
        self.models = qdrant_client().models
        self._client = connect(address)
        version = self("info").version
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            wanted = ".".join(map(str, _OLDEST))
            raise ValueError(f"{address} is Qdrant {version}, but {wanted} or later is needed.")

    def __call__(self, request: str, *values: Any, **named: Any) -> Any:
        """Sends a request, again if the server does not answer; all requests may be repeated.

        Args:
            request: Name of a method of the client.
            *values: Its arguments.
            **named: Further ones.
        """
        errors = qdrant_client().http.exceptions
        busy = qdrant_client().common.client_exceptions.ResourceExhaustedResponse
        for wait in (*WAITS, None):
            try:
                return getattr(self._client, request)(*values, **named)
            except (errors.ResponseHandlingException, busy) as error:
                if wait is None:
                    text = str(getattr(error, "source", error)).partition("\n")[0]
                    raise ConnectionError(
                        f"{self.address} cannot be reached ({text}): repeat the call once it can."
                    ) from error
            except errors.UnexpectedResponse as error:
                if wait is None or error.status_code not in _PASSING:
                    raise self._explanation(error) from error
            time.sleep(wait)
        raise AssertionError  # the last try returns or raises

    def record(self, key: str, collection: str | None = None) -> dict[str, Any]:
        """Returns the values of a record; none if there is no such record.

        Args:
            key: Name of the record.
            collection: The collection of records, if not that of the alias.
        """
        found = self(
            "retrieve", collection or self.records, [record_id(key)],
            consistency=self.models.ReadConsistencyType.ALL,
        )  # fmt: skip
        return dict(found[0].payload) if found else {}

    def write_record(
        self,
        key: str,
        values: Mapping[str, Any],
        where: Mapping[str, Any] | None = None,
        collection: str | None = None,
    ) -> None:
        """Replaces a record, or makes it if there is none.

        Args:
            key: Name of the record.
            values: Its values.
            where: Replace it only if it has these values.
            collection: The collection of records, if not that of the alias.
        """
        payload = {"key": key, **values}
        point = self.models.PointStruct(id=record_id(key), payload=payload, vector={})
        condition = where and self.models.Filter(
            must=[self.matching(name, value) for name, value in where.items()]
        )
        self(
            "upsert", collection or self.records, [point], update_filter=condition,
            ordering=self.models.WriteOrdering.STRONG,
        )  # fmt: skip

    def delete_record(self, key: str) -> None:
        """Deletes a record, if there is one.

        Args:
            key: Name of the record.
        """
        chosen = self.models.PointIdsList(points=[record_id(key)])
        self("delete", self.records, chosen, ordering=self.models.WriteOrdering.STRONG)

    def matching(self, name: str, value: Any) -> Any:
        """Returns the condition that a value of a point is a given one, or one of a list.

        Args:
            name: Name of the value.
            value: The value, or a list of values.
        """
        models = self.models
        match = models.MatchAny(any=value) if isinstance(value, list) else None
        return models.FieldCondition(key=name, match=match or models.MatchValue(value=value))

    def _explanation(self, error: Any) -> Exception:
        text = error.content.decode("utf-8", "replace").partition("\n")[0][:300]
        if error.status_code in (401, 403):
            return PermissionError(
                f"{self.address} does not allow this: put the API key into the variable {KEY} "
                f"({text})."
            )
        if error.status_code == 404:
            return FileNotFoundError(f"There is no gallery in {self.address} any more: {text}.")
        if error.status_code == 507 or "No space left" in text or "disk space" in text:
            return OSError(f"The disk of {self.address} is full: repeat the call once it is not.")
        return OSError(f"{self.address} cannot do this ({error.status_code}): {text}.")


def record_id(key: str) -> str:
    """Returns the id of the point of a record.

    Args:
        key: Name of the record.
    """
    return str(uuid5(_RECORDS, key))
