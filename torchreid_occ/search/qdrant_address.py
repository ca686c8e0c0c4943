"""Addresses of galleries in Qdrant, without the API key, which the environment has."""

import os
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from torchreid_occ._types import StrPath
from torchreid_occ.utils.dependencies import import_optional

KEY = "QDRANT_API_KEY"  # variable of the environment
_SCHEMES = {"qdrant": "http", "qdrants": "https"}
_PORT = 6333


def is_qdrant_address(place: StrPath) -> bool:
    """Returns whether the place of a gallery is the address of one in Qdrant.

    Args:
        place: Folder or address.
    """
    return str(place).startswith(tuple(f"{scheme}://" for scheme in _SCHEMES))


class QdrantAddress:
    """A gallery in Qdrant: its server and its name.

    Args:
        text: ``qdrant://host:port/name``, or with TLS ``qdrants://host:port/name``; the port is
            6333 if it is left out.

    Attributes:
        url: URL of the server.
        name: Name of the gallery.
        key: The API key, of the variable ``QDRANT_API_KEY``; None without.

    Raises:
        ValueError: If it is no such address; does not repeat it.
    """

    def __init__(self, text: str) -> None:
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port or _PORT
        except ValueError:
            host, port, parts = None, _PORT, urlsplit("")
        if "@" in parts.netloc:
            raise ValueError(
                f"The address of a gallery in Qdrant takes no key: put it into the variable {KEY}."
            )
        name = parts.path.removeprefix("/")
        valid = host and not parts.query and not parts.fragment
        if not valid or not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", name):
            raise ValueError(
                "The address of a gallery in Qdrant is qdrant://host:port/name, or with TLS "
                "qdrants://host:port/name; the name consists of letters, digits, _ and -."
            )
        shown = f"[{host}]" if ":" in str(host) else host
        self._text = f"{parts.scheme}://{shown}:{port}/{name}"
        self.url, self.name = f"{_SCHEMES[parts.scheme]}://{shown}:{port}", name
        self.key = os.environ.get(KEY) or None

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


@cache
def qdrant_client() -> Any:
    """Returns the module of Qdrant's client.

    Raises:
        ImportError: If it is not installed.
    """
    (module,) = import_optional("qdrant_client", extra="qdrant")
    return module
