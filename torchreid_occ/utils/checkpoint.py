"""Checkpoints: tensors and plain Python only, written atomically, loaded with ``weights_only``."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchreid_occ._types import StrPath
from torchreid_occ.utils.files import replacing

_NAME = "model.pth.tar-{}"  # torchreid's name for the checkpoint of an epoch


def checkpoint_path(save_dir: StrPath, epoch: int) -> Path:
    """Returns the path of the checkpoint that a run writes after an epoch.

    Args:
        save_dir: Folder of the run.
        epoch: Number of the epoch, from 1.
    """
    return Path(save_dir) / "model" / _NAME.format(epoch)


def latest_checkpoint(save_dir: StrPath) -> Path | None:
    """Returns the checkpoint of the last epoch that a run has saved, or None.

    Args:
        save_dir: Folder of the run.
    """
    pattern = re.compile(re.escape(_NAME.format("")) + r"(\d+)")
    found = {}
    for file in (Path(save_dir) / "model").glob("*"):
        match = pattern.fullmatch(file.name)
        if match:
            found[int(match.group(1))] = file
    return found[max(found)] if found else None


def save_checkpoint(state: object, path: StrPath) -> None:
    """Writes a checkpoint atomically: an interrupted write leaves no file under ``path``.

    Args:
        state: Tensors and plain Python.
        path: The checkpoint.

    Raises:
        OSError: If it can't be written; states the free space of the disk.
    """
    try:
        with replacing(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        parent = next(folder for folder in Path(path).parents if folder.exists())
        free = shutil.disk_usage(parent).free / 2**20
        # After the disk's error torch raises a second one, whose context is the first.
        first = error.__context__ if isinstance(error.__context__, OSError) else error
        reason = next(iter(str(first).splitlines()), type(first).__name__)
        raise OSError(
            f"The checkpoint {path} could not be written, {free:.0f} MiB are free there: {reason}"
        ) from error


def load_checkpoint(path: StrPath, needed: Iterable[str] = ()) -> Any:
    """Reads a checkpoint onto the CPU.

    Args:
        path: The file.
        needed: Keys that the content must have.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, holds more than tensors and plain Python, or lacks one
            of the keys.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken pickle may raise any error: IndexError, struct.error
        reason = next(iter(str(error).splitlines()), "it ends early")
        raise ValueError(
            f"{path} is damaged or no checkpoint of tensors and plain Python ({reason})."
        ) from error
    missing = {*needed} - (content.keys() if isinstance(content, dict) else set())
    if missing:
        raise ValueError(f"{path} is no checkpoint of this package: it lacks {sorted(missing)}.")
    return content


def load_weights(model: nn.Module, path: StrPath, part: str = "") -> None:
    """Loads weights into a model; all of its weights must be there, with their shapes.

    The classifier keeps its weights where the numbers of identities differ, as in a transfer.

    Args:
        model: The model.
        path: A checkpoint of ours, of torchreid (``state_dict``), or a bare state dict.
        part: Prefix of the names of the weights to load, which is removed; others are ignored.

    Raises:
        ValueError: If names or shapes differ, listing the first of them.
    """
    weights = weights_by_name(path)
    weights = {name[len(part) :]: weights[name] for name in weights if name.startswith(part)}
    own = model.state_dict()
    transferred = {
        name
        for name in own.keys() & weights.keys()
        if "classifier" in name and own[name].shape != weights[name].shape
    }
    problems = [f"{name} is missing" for name in own.keys() - weights.keys()]
    problems += [f"{name} is unknown" for name in weights.keys() - own.keys()]
    problems += [
        f"{name} is {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
        for name in (own.keys() & weights.keys()) - transferred
        if own[name].shape != weights[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5])
        raise ValueError(f"{path} does not fit the model in {len(problems)} places: {shown}.")
    model.load_state_dict({**weights, **{name: own[name] for name in transferred}})


def load_matching_weights(model: nn.Module, path: StrPath) -> list[str]:
    """Loads the weights of a checkpoint whose names and shapes are the model's; ignores others.

    Args:
        model: The model.
        path: As for `load_weights`.

    Returns:
        Names of the model's weights that were not loaded, sorted.

    Raises:
        ValueError: If none matches.
    """
    weights, own = weights_by_name(path), model.state_dict()
    matching = {
        name: tensor
        for name, tensor in weights.items()
        if name in own and own[name].shape == tensor.shape
    }
    if not matching:
        raise ValueError(f"{path} has no weights that fit the model: {sorted(own)[:3]}, ...")
    model.load_state_dict({**own, **matching})
    return sorted(own.keys() - matching.keys())


def weights_by_name(path: StrPath) -> dict[str, Tensor]:
    """Reads the weights of a checkpoint of ours, of torchreid, or of a bare state dict.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or holds no weights.
    """
    content = load_checkpoint(path)
    weights = content.get("state_dict", content) if isinstance(content, dict) else None
    named = isinstance(weights, dict) and all(isinstance(name, str) for name in weights)
    if not weights or not named or not all(map(torch.is_tensor, weights.values())):
        raise ValueError(f"{path} holds no weights by name, as a state dict does.")
    return {name.removeprefix("module."): tensor for name, tensor in weights.items()}
