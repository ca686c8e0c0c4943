"""Fetching what the user has a link to: resumable, checked, unpacked safely.

Nothing here knows a dataset: no link is stored, and DukeMTMC, withdrawn for privacy, is never
downloaded unasked.
"""

import re
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

import gdown
import requests

from torchreid_occ.utils.files import file_hash

GOOGLE_DRIVE = ("drive.google.com", "docs.google.com")
TIMEOUT = 60  # seconds without an answer


def fetch(url: str, destination: str | Path, sha256: str | None = None) -> Path:
    """Downloads a file, with a progress bar; a file that is there already is only checked.

    An interrupted download is kept beside the destination and resumed by the next call. The file
    gets its name once it is complete and checked.

    Args:
        url: A link of Google Drive or any http(s) link.
        destination: Path of the file, or an existing folder to put it in under its remote name.
        sha256: What the file's SHA-256 must be, in hexadecimal.

    Returns:
        Path of the file.

    Raises:
        ValueError: If an argument is malformed or the file is not the one asked for.
        ConnectionError: If the link cannot be downloaded; says how to resume.
    """
    if urlparse(url).scheme not in ("http", "https"):
        raise ValueError(f"Received the link {url!r}, but expected one of http or https.")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"Received sha256={sha256!r}, but expected 64 hexadecimal digits.")
    destination = Path(destination)
    if destination.is_dir():
        destination /= _remote_name(url)
    if destination.exists():
        _check(destination, sha256, "Remove it to have it downloaded again.")
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    unchecked = destination.with_name(f"{destination.name}.unchecked")
    _download(url, output=str(unchecked), resume=True)
    try:
        _check(unchecked, sha256, "It was removed; check the link and the number.")
    except ValueError:
        unchecked.unlink()
        raise
    return unchecked.replace(destination)


def unpack(archive: str | Path, folder: str | Path) -> list[Path]:
    """Unpacks a zip or tar archive into a folder; every entry appears there whole or not at all.

    Args:
        archive: The archive, compressed in any way Python reads.
        folder: Where its top-level entries go; made if missing.

    Returns:
        The top-level entries.

    Raises:
        ValueError: If the archive cannot be read, or a member or link would leave the folder.
        FileExistsError: If the folder already has one of the entries.
    """
    archive, folder = Path(archive), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as partial:
        try:
            if zipfile.is_zipfile(archive):
                _unpack_zip(archive, partial)
            else:
                _unpack_tar(archive, partial)
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
            raise ValueError(f"{archive} cannot be unpacked: {error}.") from error
        entries = sorted(Path(partial).iterdir())
        targets = [folder / entry.name for entry in entries]
        for target in targets:
            if target.exists():
                raise FileExistsError(f"{target} is already there: remove it to unpack {archive}.")
        for entry, target in zip(entries, targets, strict=True):
            entry.rename(target)
    return targets


def _download(url, **options):
    try:
        return gdown.download(url, timeout=TIMEOUT, **options)
    except (gdown.DownloadError, requests.RequestException) as error:
        raise ConnectionError(
            f"{url} could not be downloaded: {error}\nThe same call resumes it; to start over, "
            "remove the .part file beside the destination."
        ) from error


def _remote_name(url):
    if urlparse(url).hostname in GOOGLE_DRIVE:
        return _download(url, skip_download=True).path  # its links hold no name
    name = PurePosixPath(unquote(urlparse(url).path)).name
    if name in ("", ".."):
        raise ValueError(f"{url} ends in no file name: give the destination a name.")
    return name


def _check(path, sha256, remedy):
    if sha256 is None:
        return
    found = file_hash(path)
    if found != sha256.lower():
        raise ValueError(f"{path} has the SHA-256 {found}, but expected {sha256.lower()}. {remedy}")


def _unpack_zip(archive, folder):
    with zipfile.ZipFile(archive) as file:
        _check_members(archive, file.namelist())
        file.extractall(folder)


def _unpack_tar(archive, folder):
    with tarfile.open(archive) as file:
        _check_members(archive, file.getnames())
        # The filter refuses devices and links that point outside; absolute names it would accept
        # as relative ones.
        file.extractall(folder, filter="data")


def _check_members(archive, names):
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match("[a-zA-Z]:", name):
            raise ValueError(f"{archive} is not unpacked: its member {name!r} leaves the folder.")
