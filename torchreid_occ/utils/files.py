"""Files that are whole or absent: written beside their place, flushed, then renamed."""

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

_PARTIAL = ".partial"


def remove_partial_files(folder):
    """Removes what a killed process left half-written in a folder."""
    for file in Path(folder).glob(f".*{_PARTIAL}"):
        file.unlink(missing_ok=True)  # another process may have begun with the same


@contextmanager
def replacing(path):
    """Yields a binary file that takes the place of ``path`` if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PARTIAL)
    try:
        os.fchmod(handle, 0o666 & ~_umask())  # mkstemp's files are private, a result is not
        with naming(path), os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


@contextmanager
def naming(path):
    """Adds a path to those errors of the operating system that name none, as of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(path, text):
    """Writes a text file, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path, content):
    """Writes a JSON file, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
