"""Reads files of ``torch.save`` so that they can't run code, and says why one is refused."""

import io
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from pickle import BINSTRING, BINUNICODE, UnpicklingError
from threading import Lock
from typing import Any

import torch

from torchreid_occ._types import StrPath
from torchreid_occ.utils.file_kinds import is_safetensors, other_kind
from torchreid_occ.utils.safe_globals import HARMLESS, plain_arrays

_LOADING = Lock()  # what torch allows to be loaded is one list for all threads


def load_checkpoint(path: StrPath, needed: Iterable[str] = ()) -> Any:
    """Reads a checkpoint onto the CPU; a file can't make it run code.

    Beside tensors and plain Python it may hold numpy's scalars and arrays, and options as argparse
    gives them, as other people's checkpoints do. Files of Python 2 are read as well.

    Args:
        path: The file.
        needed: Keys that the content must have.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no checkpoint, is damaged, holds objects that are not allowed, or
            lacks one of the keys; says which.
    """
    path = Path(path)
    check_checkpoint(path)
    try:
        content = _safely_loaded(path)
    except Exception as error:  # a broken pickle may raise any error: IndexError, struct.error
        raise ValueError(f"{path} {_refusal(path, error)}.") from error
    missing = {*needed} - (content.keys() if isinstance(content, dict) else set())
    if missing:
        raise ValueError(
            f"{path} is no checkpoint of this package: it lacks {sorted(missing)}, as it is "
            f"{_content(content)}. Name one of a run, like <save_dir>/model/model.pth.tar-60."
        )
    return content


def check_checkpoint(path: StrPath) -> None:
    """Checks that a file may be a checkpoint, without loading it.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else; says what.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(
            f"{path} is a folder, not a checkpoint: those of a run are files in its folder model."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}.")
    if (kind := other_kind(path)) is not None and not _loads_safetensors(path):
        raise ValueError(f"{path} is {kind}, not a checkpoint of PyTorch.")


def _safely_loaded(path: Path) -> Any:
    with _LOADING, torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that `encoding` is not read, which is not true
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, encoding="latin1")
        except UnpicklingError as error:
            if not str(error).partition("\n\nCheck")[0].endswith(f"operand {BINSTRING[0]}"):
                raise
            file = _without_long_strings(path)
            content = torch.load(file, map_location="cpu", weights_only=True, encoding="latin1")
    return plain_arrays(content)


def _without_long_strings(path: Path) -> io.BytesIO:
    """Returns a file whose byte strings of Python 2 are texts, as PyTorch reads only short ones.

    The file begins with four pickles, the last of which is the content.
    """
    data = path.read_bytes()
    stream = io.BytesIO(data)
    for _ in range(3):
        for _ in pickletools.genops(stream):
            pass
    parts, done = [], 0
    for opcode, text, place in pickletools.genops(stream):
        if opcode.name == "BINSTRING" and text is not None and place is not None:
            encoded = text.encode("utf-8")  # latin1 is what pickletools decodes by
            parts += [data[done:place], BINUNICODE, struct.pack("<I", len(encoded)), encoded]
            done = place + 5 + len(text)
    return io.BytesIO(b"".join([*parts, data[done:]]))


def _loads_safetensors(path: Path) -> bool:
    """Whether it is a file of safetensors that PyTorch itself will read."""
    installed = find_spec("safetensors") is not None
    return path.suffix == ".safetensors" and installed and is_safetensors(path)


def _refusal(path: Path, error: Exception) -> str:
    """Says why a file could not be loaded, without PyTorch's advice to load it unsafely."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    named = re.search(r"GLOBAL (\S+)|due to the following globals?: (\S+)", text)
    whole = _is_whole(path)
    if named and whole is not False:
        return (
            f"holds objects of {named[1] or named[2]}, which safe loading does not build: it takes "
            "tensors, plain Python and NumPy's values. Save the weights alone where it comes from, "
            "as torch.save(model.state_dict(), ...) does"
        )
    if "maximum supported version" in text:
        return "was written by a newer PyTorch than the installed one: update PyTorch"
    if "legacy .tar format" in text:
        return "is in the tar format of PyTorch before 0.1.10: save it again with a newer one"
    if "Invalid magic number" in text:
        return "is a pickle that torch.save has not written"
    reason = reason_of(error)
    if whole:
        return f"is whole, but holds what safe loading does not read ({reason})"
    return f"is damaged, cut off, or no checkpoint ({reason})"


def reason_of(error: Exception) -> str:
    """Returns the reason in an error of ``torch.load``, without the advice around it.

    Args:
        error: The error.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    _, _, own = text.rpartition("WeightsUnpickler error:")
    lines = [line.strip() for line in own.splitlines() if line.strip()]
    # The advice stands before the reason, and a link after it.
    kept = [line for line in lines if "weights_only" not in line and "documentation" not in line]
    reason = next(iter(kept), "it ends early").partition(" Please use `torch.serialization")[0]
    return reason[:200].rstrip(".")


def _is_whole(path: Path) -> bool | None:
    """Returns whether the checksums of an archive are right; None for the older format."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return None
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # of a broken archive: BadZipFile, struct.error, NotImplementedError, ...
        return False


def _content(content: Any) -> str:
    """Describes the content of a file of ``torch.save`` that is not a run's checkpoint."""
    if not isinstance(content, dict):
        return f"a file of a single {type(content).__name__}"
    if content and all(map(torch.is_tensor, content.values())):
        return f"a state dict: the {len(content)} weights of some model by name, and nothing else"
    keys = ", ".join(sorted(map(str, content))[:6])
    if "state_dict" in content and "config" not in content:
        return f"one like torchreid's, weights without their configuration (it holds {keys})"
    if "models" in content:
        models = ", ".join(map(str, content["models"]))
        return f"a checkpoint of the networks {models}"
    return f"a file that holds {keys or 'nothing'}"
