"""Files that are whole or absent: written beside their place, flushed, then renamed."""

import hashlib
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

_PARTIAL = ".partial"
_BLOCK = 2**20  # bytes read at a time


def remove_partial_files(folder):
    """Removes what a killed process left half-written in a folder."""
    for file in Path(folder).glob(f".*{_PARTIAL}"):
        file.unlink()


@contextmanager
def replacing(path):
    """Yields a binary file that takes the place of ``path`` if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PARTIAL)
    try:
        os.fchmod(handle, 0o666 & ~_umask())  # mkstemp's files are private, a result is not
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def write_text(path, text):
    """Writes a text file, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path, content):
    """Writes a JSON file, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def file_hash(path):
    """The SHA-256 of a file's content, as hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
