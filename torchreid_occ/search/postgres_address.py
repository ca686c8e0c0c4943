"""Addresses of galleries in PostgreSQL; they may hold a password, which no text of ours shows."""

import logging
import re
from functools import cache
from typing import Any
from urllib.parse import quote

from torchreid_occ._types import StrPath
from torchreid_occ.utils.dependencies import import_optional

SCHEMES = ("postgresql://", "postgres://")
SCHEMA = "torchreid_occ"  # of a gallery whose address names none
# Of libpq, for a server that does not answer. An address may name others.
_PATIENCE = {"connect_timeout": "10", "tcp_user_timeout": "60000", "keepalives_idle": "30"}


def is_postgres_address(place: StrPath) -> bool:
    """Returns whether the place of a gallery is a database's address.

    Args:
        place: Folder or address.
    """
    return str(place).startswith(SCHEMES)


class PostgresAddress:
    """A gallery in a database: its server, database and schema.

    As text it is without the password.

    Args:
        url: As libpq takes it, such as ``postgresql://user@host:5432/database``, with the gallery's
            schema after ``#`` where it is not `SCHEMA`. What it lacks comes from libpq's variables
            and files, such as ``PGPASSWORD`` and ``~/.pgpass``.

    Attributes:
        parameters: Parameters of libpq, the password among them.
        schema: Name of the gallery's schema.

    Raises:
        ValueError: If it is no such address; does not repeat it.
    """

    def __init__(self, url: str) -> None:
        server, _, schema = url.partition("#")
        authority = server.partition("://")[2].partition("/")[0]
        if authority.count("@") > 1:
            raise ValueError(
                "The address of the gallery has several @ before the database: in a user's name or "
                "password, write %40 for @, %2F for / and %23 for #."
            )
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema or SCHEMA):
            raise ValueError(
                "The gallery's name, after # in its address, must consist of at most 63 lower-case "
                "letters, digits and _, and not begin with a digit. (A # in a password is %23.)"
            )
        try:
            given = psycopg().conninfo.conninfo_to_dict(server)
        except psycopg().ProgrammingError:
            raise ValueError(
                "The address of the gallery is no URL of PostgreSQL: expected "
                "postgresql://user@host:port/database, with #name for one of several galleries."
            ) from None  # the cause repeats parts of the address
        self.parameters: dict[str, Any] = {**_PATIENCE, **given}
        self.schema = schema or SCHEMA

    def __str__(self) -> str:
        own = {name: str(self.parameters.get(name, "")) for name in ("user", "host", "port")}
        user = f"{quote(own['user'])}@" if own["user"] else ""
        socket = own["host"].startswith("/")  # the folder of a local server's socket
        host = "" if socket else own["host"]
        port = f":{own['port']}" if own["port"] else ""
        shown = f"postgresql://{user}{host}{port}/{self.parameters.get('dbname', '')}"
        shown += f"?host={own['host']}" if socket else ""
        return shown if self.schema == SCHEMA else f"{shown}#{self.schema}"

    __repr__ = __str__

    def without_password(self, text: str) -> str:
        """Returns a text, such as a message of libpq, with the password left out.

        Args:
            text: The text.
        """
        password = self.parameters.get("password")
        return text.replace(password, "***") if password else text


@cache
def psycopg() -> Any:
    """Returns the module.

    Raises:
        ImportError: If it is not installed.
    """
    module, *_ = import_optional("psycopg", "pgvector", extra="postgres")
    # What it logs of a lost connection is raised, too, and else would be printed.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    return module
