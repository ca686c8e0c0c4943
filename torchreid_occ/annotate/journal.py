"""A file that grows by whole lines, whenever the process may be killed."""

import json
import os

from torchreid_occ.utils.locks import try_lock


class Journal:
    """Records in a file of JSON lines; what a kill left of the last lines is cut off.

    Args:
        path: The file, made if it is not there.

    Attributes:
        records: What the file holds.

    Raises:
        ValueError: If another process is writing it.
    """

    def __init__(self, path):
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        if not try_lock(self._file):
            self._file.close()
            raise ValueError(f"Another process is at work on {path}: wait for it.")
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self._file.seek(whole)
        self._file.truncate()
        try:
            self.records = [json.loads(line) for line in content[:whole].splitlines()]
        except (ValueError, RecursionError) as error:
            self._file.close()
            raise ValueError(f"{path} is no journal of JSON lines: {error}.") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def extend(self, records):
        """Adds records; once this returns they survive a kill and a power cut."""
        lines = (json.dumps(record) + "\n" for record in records)
        self._file.write("".join(lines).encode("utf-8"))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.records += records
