"""A file of JSON lines that can be continued after a kill."""

import json
import os
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from torchreid_occ._types import StrPath
from torchreid_occ.utils.locks import try_lock


class Journal:
    """Records in a file of JSON lines; an incomplete last line, left by a kill, is removed.

    Args:
        path: The file; created if it does not exist.

    Attributes:
        records: Records in the file.

    Raises:
        ValueError: If another process writes the file, or it holds something else.
    """

    def __init__(self, path: StrPath) -> None:
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        if not try_lock(self._file):
            self._file.close()
            raise ValueError(f"Another process is at work on {path}: wait for it.")
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self._file.seek(whole)
        self._file.truncate()
        try:
            self.records: list[Any] = [json.loads(line) for line in content[:whole].splitlines()]
        except (ValueError, RecursionError) as error:
            self._file.close()
            raise ValueError(f"{path} is no journal of JSON lines: {error}.") from error

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def extend(self, records: Iterable[Any]) -> None:
        """Appends records and flushes them to the disk.

        Args:
            records: Plain values.
        """
        new = list(records)
        lines = (json.dumps(record) + "\n" for record in new)
        self._file.write("".join(lines).encode("utf-8"))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.records += new
