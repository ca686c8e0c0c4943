"""Says what a file is that was named in place of a checkpoint."""

import json
import re
import zipfile
from pathlib import Path

from torchreid_occ._types import StrPath

_HEAD_BYTES = 4096  # bytes from which a file is recognised
# The first bytes of files, and what they are.
_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes"),
    (b"\x93NUMPY", "an array of NumPy (.npy)"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"Rar!", "a rar archive: unpack it first"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"SQLite format 3\x00", "an SQLite database, such as a gallery"),
    (b"\x7fELF", "a compiled program"),
    (b"GGUF", "a GGUF model"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself: run `git lfs pull`"),
)
_PAGE = re.compile(rb"<(!doctype html|html|head|body|title|script)\b", re.IGNORECASE)


def is_web_page(head: bytes) -> bool:
    """Returns whether a file begins as a page of HTML does.

    Args:
        head: Its first bytes.
    """
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"<!--", b"<?xml")):
        return _PAGE.search(start[:_HEAD_BYTES]) is not None
    return _PAGE.match(start) is not None


def other_kind(path: StrPath) -> str | None:
    """Says what a file is if it is not one of ``torch.save``; None if it may be one.

    Args:
        path: The file.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "an empty file"
    if is_web_page(head):
        return "a web page (HTML): the download was answered with a page instead of the file"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    if head[4:8] == b"ftyp":
        return "a video"
    if head[:4] == b"RIFF":
        return "a video, sound or WebP image"
    if is_safetensors(path):
        return "a safetensors file, which holds weights by name"
    if zipfile.is_zipfile(path):
        return _kind_of_archive(path)
    if is_onnx(path):
        return "an ONNX file, which runs without this package"
    return _kind_of_text(path, head)


def text_kind(path: StrPath) -> str | None:
    """Says which kind of text a file is, such as a web page; None if it is none.

    Args:
        path: The file.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if is_web_page(head):
        return "a web page (HTML)"
    return _kind_of_text(path, head) if head else None


def is_safetensors(path: StrPath) -> bool:
    """Returns whether a file has the header of a safetensors file.

    Args:
        path: The file.
    """
    with Path(path).open("rb") as file:
        head = file.read(9)
    size = int.from_bytes(head[:8], "little")
    return head[8:] == b"{" and size < Path(path).stat().st_size


def is_onnx(path: StrPath) -> bool:
    """Returns whether a file begins with ONNX's version and the fields that exporters write.

    Args:
        path: The file.
    """
    with Path(path).open("rb") as file:
        head = file.read(4)
    numbered = len(head) > 3 and head[0] == 0x08 and 0 < head[1] < 0x20
    return numbered and (Path(path).suffix == ".onnx" or head[2] in (0x12, 0x3A, 0x42))


def _kind_of_archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None  # damaged, as torch will say
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript archive, which runs without this package"
    if any(name.count("/") == 1 and name.endswith("/data.pkl") for name in names):
        return None
    if "data.pkl" in names:
        return None
    if any(name.endswith("archive_format") for name in names):
        return "a program of torch.export, which runs without this package"
    if names and all(name.endswith(".npy") for name in names):
        return "arrays of NumPy (.npz)"
    shown = ", ".join(sorted(names)[:3]) or "nothing"
    return f"a zip archive that holds {shown}: unpack it, and name the checkpoint in it"


def _kind_of_text(path: Path, head: bytes) -> str | None:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if (
            len(head) < _HEAD_BYTES or error.start < _HEAD_BYTES - 4
        ):  # the head may end within a character
            return None
        text = head[: error.start].decode("utf-8")
    if any(not letter.isprintable() and letter not in "\r\n\t\f\ufeff" for letter in text):
        return None
    if text.lstrip("\ufeff \r\n\t")[:1] in ("{", "["):
        try:
            json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError:
            return "a text file"
        return "a JSON file"
    if path.suffix in (".yaml", ".yml"):
        return "a YAML file, such as a configuration"
    return "a text file"
