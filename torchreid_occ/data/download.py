"""Downloads by link: resumable, checked, unpacked safely.

No link of a dataset is stored here, and DukeMTMC, withdrawn for privacy, is never downloaded
automatically.
"""

import errno
import gzip
import lzma
import os
import platform
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

import gdown
import requests

from torchreid_occ._types import StrPath
from torchreid_occ.utils.file_kinds import text_kind
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.logs import logger

GOOGLE_DRIVE = ("drive.google.com", "docs.google.com")
TIMEOUT = 60  # seconds without a response
# Endings of names whose content is never text.
BINARY = (
    *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".zst", ".7z", ".rar"),
    *(".pth", ".pt", ".ckpt", ".onnx", ".safetensors", ".npy", ".npz", ".mat", ".h5", ".hdf5"),
    *(".jpg", ".jpeg", ".png", ".mp4", ".avi", ".mkv", ".mov", ".pdf"),
)
PAGES = (".html", ".htm", ".xhtml", ".php", ".asp", ".aspx")


class DamagedArchive(ValueError):  # noqa: N818
    """An archive is none, is cut off, or fails its checksums."""


def fetch(url: str, destination: StrPath, sha256: str | None = None) -> Path:
    """Downloads a file, with a progress bar; an existing file is only checked.

    An interrupted download is kept beside the destination and resumed by the next call. The file
    gets its name once it is complete and checked; a web page in its place, such as a host's notice
    of a quota, is refused, and one that an earlier call left under the name is replaced.

    Args:
        url: A link of Google Drive or any http(s) link.
        destination: Path of the file, or an existing folder to put it in under its remote name.
        sha256: The file's SHA-256 in hexadecimal; None does not check.

    Returns:
        Path of the file.

    Raises:
        ValueError: If an argument is malformed, the file has another SHA-256, or the host answered
            with a page.
        ConnectionError: If the link cannot be downloaded; says how to resume.
    """
    if urlparse(url).scheme not in ("http", "https"):
        raise ValueError(f"Received the link {url!r}, but expected one of http or https.")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"Received sha256={sha256!r}, but expected 64 hexadecimal digits.")
    destination = Path(destination)
    if destination.is_dir():
        destination /= _remote_name(url)
    page = _in_place_of(destination) if destination.exists() else None
    if page and page.startswith("a web page"):
        logger.warning("%s is %s, and is downloaded again.", destination, page)
    elif destination.exists():
        _check(destination, sha256, "Remove it to have it downloaded again.")
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    unchecked = destination.with_name(f"{destination.name}.unchecked")
    _download(url, output=str(unchecked), resume=True)
    try:
        if page := _in_place_of(unchecked, destination.name):
            raise ValueError(
                f"{url} was answered with {page}, not with {destination.name}: open the link in a "
                "browser, which may ask to sign in, to accept terms, or to wait for a quota. "
                "Nothing was kept."
            )
        _check(unchecked, sha256, "It was removed; check the link and the number.")
    except ValueError:
        unchecked.unlink()
        raise
    return unchecked.replace(destination)


def unpack(archive: StrPath, folder: StrPath) -> list[Path]:
    """Unpacks a zip or tar archive into a folder; each entry appears there atomically.

    Args:
        archive: The archive, compressed in any way Python reads.
        folder: Where its top-level entries go; made if missing.

    Returns:
        The top-level entries.

    Raises:
        FileNotFoundError: If there is no such archive.
        DamagedArchive: If the archive cannot be read.
        ValueError: If a member or link would leave the folder.
        FileExistsError: If the folder already has one of the entries.
        OSError: If the disk has no room for the contents.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise FileNotFoundError(f"There is no archive {archive}.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as partial:
        try:
            if zipfile.is_zipfile(archive):
                _unpack_zip(archive, Path(partial))
            else:
                _unpack_tar(archive, Path(partial))
        except Exception as error:  # decompressors raise zlib.error, LZMAError, RuntimeError, ...
            # Only errors of the operating system, such as a full disk, have an errno.
            kind = OSError if getattr(error, "errno", None) else ValueError
            kind = DamagedArchive if _means_damage(error) else kind
            several = str(error).startswith("file could not be opened successfully")
            reason = "it is neither a zip nor a tar archive" if several else error
            raise kind(f"{archive} cannot be unpacked into {folder}: {reason}.") from error
        entries = sorted(Path(partial).iterdir())
        targets = [folder / entry.name for entry in entries]
        for target in targets:
            if os.path.lexists(target):  # unlike `exists`, also true for a broken link
                raise FileExistsError(f"{target} is already there: remove it to unpack {archive}.")
        for entry, target in zip(entries, targets, strict=True):
            entry.rename(target)
    return targets


def _download(url: str, **options: Any) -> Any:
    try:
        return gdown.download(url, timeout=TIMEOUT, **options)
    except (gdown.DownloadError, requests.RequestException) as error:
        raise ConnectionError(
            f"{url} could not be downloaded: {error}\nThe same call resumes it; to start over, "
            "remove the .part file beside the destination."
        ) from error


def _in_place_of(path: Path, name: str = "") -> str | None:
    """Says what text or page stands in place of a file of that name; None if the file may be it.

    Args:
        path: The file.
        name: The name it is meant to have; its own if empty.
    """
    name = (name or path.name).lower()
    binary = any(name.endswith(end) or f"{end}." in name for end in BINARY)
    kind = text_kind(path) if path.stat().st_size else "an empty file"
    if kind is None or name.endswith(PAGES):
        return None
    return kind if binary or kind.startswith("a web page") else None


def _means_damage(error: Exception) -> bool:
    return isinstance(
        error,
        (
            EOFError,
            gzip.BadGzipFile,
            lzma.LZMAError,
            tarfile.ReadError,
            zipfile.BadZipFile,
            zlib.error,
        ),
    )


def _remote_name(url: str) -> str:
    if urlparse(url).hostname in GOOGLE_DRIVE:
        return _download(url, skip_download=True).path  # its links hold no name
    name = PurePosixPath(unquote(urlparse(url).path)).name
    if name in ("", ".."):
        raise ValueError(f"{url} ends in no file name: give the destination a name.")
    return name


def _check(path: Path, sha256: str | None, remedy: str) -> None:
    if sha256 is None:
        return
    found = file_hash(path)
    if found != sha256.lower():
        raise ValueError(f"{path} has the SHA-256 {found}, but expected {sha256.lower()}. {remedy}")


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        _check_members(dict.fromkeys(file.namelist(), ""))
        _check_room(sum(member.file_size for member in file.infolist()), folder)
        file.extractall(folder)


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as file:
        _check_members({member.name: member.linkname for member in file.getmembers()})
        _check_room(sum(member.size for member in file.getmembers()), folder)
        if not hasattr(tarfile, "data_filter"):
            raise ValueError(
                f"Python {platform.python_version()} does not check what a tar file would write, "
                "which 3.10.12, 3.11.4 and later ones do: update Python, or unpack it yourself"
            )
        # The filter refuses devices and links that point outside, but accepts absolute names as
        # relative ones; `_check_members` refuses these.
        file.extractall(folder, filter="data")


def _check_members(links: Mapping[str, str]) -> None:
    """Refuses members outside the folder, and members below a link, which Python's check misses.

    Args:
        links: Target of each member's link by its name; empty for a member that is no link.
    """
    linked = {PurePosixPath(name) for name, target in links.items() if target}
    for name in links:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match("[a-zA-Z]:", name):
            raise ValueError(f"its member {name!r} leaves the folder")
        if linked.intersection(path.parents):
            raise ValueError(f"its member {name!r} is below a link")


def _check_room(size: int, folder: Path) -> None:
    """Raises if the disk has too little room, before anything is written."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(errno.ENOSPC, f"it holds {size >> 20} MiB, but {free >> 20} MiB are free")
