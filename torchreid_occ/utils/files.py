"""Files that are whole or absent: written beside their place, flushed, then renamed."""

import hashlib
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

PLAN = "plan.json"
_PARTIAL = ".partial"
_BLOCK = 2**20  # bytes read at a time


def remove_partial_files(folder):
    """Removes what a killed process left half-written in a folder."""
    for file in Path(folder).glob(f".*{_PARTIAL}"):
        file.unlink()


def claim_folder(folder, plan, kind):
    """Starts long work in a folder, or makes sure that what was begun there is this work.

    Args:
        folder: Where its results go.
        plan: Plain values that say what is made, of what and by what.
        kind: A word for the results, for messages.

    Raises:
        ValueError: If the folder holds anything else; says what differs.
    """
    folder = Path(folder)
    if (folder / PLAN).is_file():
        begun = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        changed = [key for key in plan if begun.get(key) != plan[key]]
        if changed:
            raise ValueError(
                f"{folder} holds a {kind} that was begun with another {', '.join(changed)}: remove "
                "the folder, or choose another."
            )
        return
    if folder.exists() and any(file.suffix != _PARTIAL for file in folder.iterdir()):
        raise ValueError(f"{folder} is not empty and holds no {kind}: choose another folder.")
    write_json(folder / PLAN, plan)


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
