"""Quantised stages kept beside a checkpoint, in one file that names what it was made from."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from torchreid_occ.engine.stage_runners import StageFiles
from torchreid_occ.utils.environment import package_version
from torchreid_occ.utils.files import replacing

FORMAT = 1  # of the file and of how stages are quantised; a new one makes all files anew
ABOUT = "about.json"


def stage_key(
    stages: Mapping[str, nn.Module], shapes: Mapping[str, Sequence[int]], precision: str
) -> str:
    """Returns the hash of all that decides what quantised stages are.

    These are the weights, the layers, the size of the maps, the precision, and the versions of
    OpenVINO and NNCF. Checkpoints with equal weights have equal keys.

    Args:
        stages: The stages by name.
        shapes: Shape of what each reads, without the number of frames.
        precision: What they compute in.
    """
    versions = {name: package_version(name) for name in ("openvino", "nncf")}
    digest = hashlib.sha256(json.dumps([FORMAT, precision, versions], sort_keys=True).encode())
    for name in sorted(shapes):
        digest.update(f"{name} {[*shapes[name]]} {stages[name]!r}".encode())
        for key, tensor in sorted(stages[name].state_dict().items()):
            digest.update(f"{key} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def archive_path(folder: Path, key: str, precision: str) -> Path:
    """Returns the file of quantised stages.

    Args:
        folder: Folder of the checkpoint.
        key: From `stage_key`.
        precision: What they compute in.
    """
    return folder / f"stages-{key[:16]}.{precision}.openvino"


def write_archive(path: Path, key: str, stages: Mapping[str, StageFiles], about: object) -> None:
    """Writes quantised stages atomically.

    Args:
        path: From `archive_path`.
        key: From `stage_key`.
        stages: Files by the name of the stage.
        about: Plain values that say what they were calibrated on.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        names = [*stages]
        archive.writestr(ABOUT, json.dumps({"key": key, "stages": names, "about": about}))
        for number, files in enumerate(stages.values()):
            archive.writestr(f"{number}.xml", files.graph)
            archive.writestr(f"{number}.bin", files.weights)
    with replacing(path) as file:
        file.write(content.getvalue())


def read_archive(path: Path, key: str) -> dict[str, StageFiles]:
    """Reads quantised stages.

    Args:
        path: From `archive_path`.
        key: From `stage_key`.

    Raises:
        ValueError: If the file is damaged or was made from other weights, sizes or versions.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # checks the sums of what it reads
            found: dict[str, Any] = json.loads(archive.read(ABOUT))
            made_from, names = found["key"], found["stages"]
            stages = {
                name: StageFiles(archive.read(f"{number}.xml"), archive.read(f"{number}.bin"))
                for number, name in enumerate(names)
            }
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
        raise ValueError(f"{path} is no file of quantised stages, or damaged ({error}).") from error
    if made_from != key:
        raise ValueError(
            f"{path} holds the quantised stages of other weights, frame sizes or versions."
        )
    return stages
