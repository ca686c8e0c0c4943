"""Files written atomically: to a temporary file, flushed, then renamed."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from torchreid_occ._types import StrPath
from torchreid_occ.utils.documents import read_json

PLAN = "plan.json"
_PARTIAL = ".partial"
_BLOCK = 2**20  # bytes read at a time
# What keys of a plan are about, where their names do not say it.
_MEANT = {"fingerprint": "list of tracklets", "masks_fingerprint": "set of masks"}


def remove_partial_files(folder: StrPath, name: str = "") -> None:
    """Removes temporary files that killed processes left in a folder.

    Args:
        folder: The folder.
        name: The file that they were to become; all if empty.
    """
    for file in Path(folder).glob(f".{name}*{_PARTIAL}"):
        file.unlink(missing_ok=True)  # another process may remove it at the same time


def claim_folder(folder: StrPath, plan: Mapping[str, Any], kind: str, file: str = PLAN) -> None:
    """Starts work that can be continued in a folder, or checks that the same work began there.

    Args:
        folder: Folder of the results.
        plan: Plain values that describe the work and its inputs.
        kind: A word for the results, for messages.
        file: Name of the file in which the plan is kept.

    Raises:
        ValueError: If the folder holds other files or another plan; names what differs.
    """
    folder = Path(folder)
    remove_partial_files(folder)
    if (folder / file).is_file():
        begun = read_json(folder / file)
        if not isinstance(begun, dict):
            raise ValueError(f"{folder / file} is no plan of a {kind}: remove the folder.")
        changed = [_MEANT.get(key, key) for key in plan if begun.get(key) != plan[key]]
        if changed:
            raise ValueError(
                f"{folder} holds a {kind} that was begun with another {', '.join(changed)}: remove "
                "the folder, or choose another."
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty and holds no {kind}: choose another folder.")
    write_json(folder / file, plan)


@contextmanager
def replacing(path: StrPath) -> Iterator[IO[bytes]]:
    """Yields a temporary binary file that replaces ``path`` if the block ends without an error.

    Args:
        path: The file to write.
    """
    path = Path(path)
    handle, partial = _temporary_beside(path)
    try:
        os.fchmod(handle, 0o666 & ~_umask())  # mkstemp's files are readable by their owner only
        with naming(path), os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def check_replaceable(path: StrPath) -> None:
    """Checks that a file can be written, before long work whose result it will hold.

    Args:
        path: The file; its folder is made if there is none.

    Raises:
        OSError: If it cannot; names the file.
    """
    handle, partial = _temporary_beside(Path(path))
    os.close(handle)
    Path(partial).unlink()


@contextmanager
def naming(path: StrPath) -> Iterator[None]:
    """Adds a path to errors of the operating system that have none, such as that of a full disk.

    Args:
        path: The path.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(path: StrPath, text: str) -> None:
    """Writes a text file atomically; file names in it that are not UTF-8 keep their bytes.

    Args:
        path: The file.
        text: Its content.
    """
    with replacing(path) as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def write_json(path: StrPath, content: object) -> None:
    """Writes a JSON file atomically.

    Args:
        path: The file.
        content: Its content, plain values.
    """
    with replacing(path) as file:
        file.write(json_bytes(content))


def json_bytes(content: object) -> bytes:
    """Returns JSON in UTF-8.

    Args:
        content: Plain values.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # File names may hold bytes that are not UTF-8, which become JSON's escapes.
    return text.encode("utf-8", "backslashreplace")


def file_hash(path: StrPath) -> str:
    """Returns the SHA-256 of a file's content in hexadecimal digits.

    Args:
        path: The file.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _temporary_beside(path: Path) -> tuple[int, str]:
    """Makes a temporary file in the folder of a file; errors name the file itself."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PARTIAL)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
