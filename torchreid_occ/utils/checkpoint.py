"""Checkpoints: tensors and plain Python only, written atomically, loaded with ``weights_only``."""

import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from torchreid_occ._types import StrPath
from torchreid_occ.utils.files import replacing
from torchreid_occ.utils.safe_loading import check_checkpoint as check_checkpoint
from torchreid_occ.utils.safe_loading import load_checkpoint as load_checkpoint

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
    epochs = checkpoint_epochs(save_dir)
    return checkpoint_path(save_dir, epochs[-1]) if epochs else None


def checkpoint_epochs(save_dir: StrPath) -> list[int]:
    """Returns the epochs whose checkpoints a run has, in ascending order.

    Args:
        save_dir: Folder of the run.
    """
    names = (file.name for file in (Path(save_dir) / "model").glob("*"))
    matches = (re.fullmatch(re.escape(_NAME.format("")) + r"(\d+)", name) for name in names)
    return sorted(int(match.group(1)) for match in matches if match)


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


class Taken(NamedTuple):
    """What was loaded from a checkpoint, by the names of the weights, sorted.

    Attributes:
        loaded: Weights that the model took.
        ignored: Weights of the checkpoint that it did not take.
        new: Weights of the model that stay as they were.
    """

    loaded: list[str]
    ignored: list[str]
    new: list[str]

    def __str__(self) -> str:
        return (
            f"{len(self.loaded)} loaded{_of_parts(self.loaded)}; {len(self.ignored)} of the "
            f"checkpoint ignored{_of_parts(self.ignored)}; {len(self.new)} of the model "
            f"new{_of_parts(self.new)}"
        )


def load_weights(model: nn.Module, path: StrPath, part: str = "") -> Taken:
    """Loads weights into a model; all of its weights must be there, with their shapes.

    The classifier keeps its weights where the numbers of identities differ, as in a transfer.

    Args:
        model: The model.
        path: A checkpoint of ours, of torchreid (``state_dict``), or a bare state dict.
        part: Prefix of the names of the weights to load, which is removed; others are ignored.

    Returns:
        What was loaded.

    Raises:
        ValueError: If names or shapes differ, listing the first of them.
    """
    return take_weights(model, weights_by_name(path), path, part)


def take_weights(
    model: nn.Module, found: Mapping[str, Tensor], origin: StrPath, part: str = ""
) -> Taken:
    """Loads weights into a model as `load_weights` does.

    Args:
        model: The model.
        found: The weights by name.
        origin: Where they come from, for the error.
        part: As for `load_weights`.

    Returns:
        What was loaded.

    Raises:
        ValueError: If names or shapes differ, listing the first of them.
    """
    weights = {name[len(part) :]: found[name] for name in found if name.startswith(part)}
    own = model.state_dict()
    transferred = {
        name
        for name in own.keys() & weights.keys()
        if "classifier" in name and own[name].shape != weights[name].shape
    }
    _check_fit(origin, weights, own, weights.keys() - transferred, own.keys())
    model.load_state_dict({**weights, **{name: own[name] for name in transferred}})
    taken = {f"{part}{name}" for name in own.keys() - transferred}
    return Taken(sorted(taken), sorted(found.keys() - taken), sorted(transferred))


def load_parts(model: nn.Module, path: StrPath, parts: Sequence[str]) -> Taken:
    """Loads the weights of named parts of a model from the checkpoint of another model.

    Args:
        model: The model.
        path: As for `load_weights`.
        parts: Beginnings of the names of the weights to load, up to a dot: ``stem`` takes
            ``stem.conv1.weight``. All weights of these parts must be there, with their shapes.

    Returns:
        What was loaded.

    Raises:
        ValueError: If the model has no such part, or its weights do not fit.
    """
    found, own = weights_by_name(path), model.state_dict()
    unknown = [part for part in parts if not any(_within(name, part) for name in own)]
    if unknown:
        raise ValueError(
            f"model.start_parts are {[*parts]}, but the model has no {unknown}, only "
            f"{sorted({_part(name) for name in own})}."
        )
    theirs = {name for name in found if any(_within(name, part) for part in parts)}
    ours = {name for name in own if any(_within(name, part) for part in parts)}
    _check_fit(path, found, own, theirs, ours)
    model.load_state_dict({**own, **{name: found[name] for name in ours}})
    return Taken(sorted(ours), sorted(found.keys() - ours), sorted(own.keys() - ours))


def load_matching_weights(model: nn.Module, path: StrPath) -> Taken:
    """Loads the weights of a checkpoint whose names and shapes are the model's; ignores others.

    Args:
        model: The model.
        path: As for `load_weights`.

    Returns:
        What was loaded.

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
    taken = matching.keys()
    return Taken(sorted(taken), sorted(weights.keys() - taken), sorted(own.keys() - taken))


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
    if not weights or not named or not all(map(_is_array, weights.values())):
        raise ValueError(f"{path} holds no weights by name, as a state dict does.")
    return {name.removeprefix("module."): torch.as_tensor(w) for name, w in weights.items()}


def _is_array(value: object) -> bool:
    return torch.is_tensor(value) or (isinstance(value, np.ndarray) and value.dtype.kind in "biuf")


def _check_fit(
    origin: StrPath,
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    given: Collection[str],
    wanted: Collection[str],
) -> None:
    """Checks that the weights given are those wanted, with their shapes."""
    given, wanted = set(given), set(wanted)
    problems = [f"{name} is missing" for name in wanted - weights.keys()]
    problems += [f"{name} is unknown" for name in given - own.keys()]
    problems += [
        f"{name} is {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
        for name in wanted & given
        if own[name].shape != weights[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5])
        raise ValueError(f"{origin} does not fit the model in {len(problems)} places: {shown}.")


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _part(name: str) -> str:
    return name.split(".")[0]


def _of_parts(names: Sequence[str]) -> str:
    return f" ({', '.join(sorted(set(map(_part, names))))})" if names else ""
