"""The file of BlazePose's network, which MediaPipe's wheel holds.

MediaPipe itself is not installed, as it needs an old NumPy.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from torchreid_occ._types import StrPath
from torchreid_occ.data.download import fetch
from torchreid_occ.utils.files import file_hash, replacing
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.weights import WeightsUnavailable

NAME = "pose_landmark_full.tflite"
SHA256 = "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
MEMBER = f"mediapipe/modules/pose_landmark/{NAME}"
# Any wheel of this version holds the file; this one's hash is pinned.
REQUIREMENT = "mediapipe==0.10.14"
WHEEL = "mediapipe-0.10.14-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
WHEEL_SHA256 = "a807328339e7356fda0bb14df12fedbf1d33bdf81649c5f8666b0026b1cc30b4"
ITS_TAGS = (
    *("--platform", "manylinux2014_x86_64", "--python-version", "3.11"),
    *("--implementation", "cp", "--abi", "cp311", "--only-binary", ":all:", "--no-deps"),
)


def cached_blazepose() -> Path:
    """Returns the path where the file is kept, beside torchvision's weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / NAME


def blazepose_file(file: StrPath | None = None) -> Path:
    """Returns the path of the network's file, which is downloaded if it is not there yet.

    Args:
        file: A `.tflite` file, which is returned as it is, or a wheel of MediaPipe; None for the
            cached file.

    Raises:
        FileNotFoundError: If `file` does not exist.
        ValueError: If a wheel does not hold the file, or another one than expected.
        WeightsUnavailable: If the file is neither cached nor downloadable; says which file belongs
            where.
    """
    cached = cached_blazepose()
    if file is not None:
        if not Path(file).is_file():
            raise FileNotFoundError(f"There is no file {file}.")
        return _extract(Path(file), cached) if zipfile.is_zipfile(file) else Path(file)
    if cached.is_file() and file_hash(cached) == SHA256:
        return cached
    wheel = cached.with_name(WHEEL)
    try:
        fetch(_link(), wheel, WHEEL_SHA256)
        _extract(wheel, cached)
    except (OSError, ValueError) as error:
        raise WeightsUnavailable(
            f"BlazePose's network could not be downloaded: {error} Where there is a package index, "
            f"get the wheel by `pip download --no-deps --only-binary :all: {REQUIREMENT}` (on a "
            "Python older than 3.13), and give it as the model, or put the file "
            f"{MEMBER} out of it at {cached}."
        ) from error
    wheel.unlink()
    return cached


def _extract(wheel: Path, target: Path) -> Path:
    """Copies the network's file out of a wheel, if it is the expected one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(MEMBER)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{wheel} is no wheel that holds {MEMBER}: {error}.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{MEMBER} in {wheel} has the SHA-256 {found}, but expected {SHA256}, that of "
            f"{REQUIREMENT}."
        )
    with replacing(target) as file:
        file.write(content)
    return target


def _link() -> str:
    """Asks pip, which knows the machine's package index, for the link of the wheel."""
    logger.info("Looking for the wheel of %s, which holds BlazePose's network.", REQUIREMENT)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet"]
        command += ["--ignore-installed", "--target", folder, "--report", str(report)]
        done = subprocess.run(
            [*command, *ITS_TAGS, REQUIREMENT], capture_output=True, text=True, check=False
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no output"]
            raise OSError(f"pip finds no {REQUIREMENT} ({lines[-1]}).")
        content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    link: str = content["install"][0]["download_info"]["url"]
    return link
