"""Trained models as a folder: safetensors with the configuration beside them as JSON."""

import json
from pathlib import Path
from typing import Any

from torchreid_occ._types import StrPath
from torchreid_occ.config import plain
from torchreid_occ.embedders.provenance import Provenance, describe_run
from torchreid_occ.runs.builders import TrainedModel, load_trained_model, trained_model_of
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import file_hash, replacing, write_text
from torchreid_occ.version import __version__

WEIGHTS, CONFIG = "model.safetensors", "config.json"
FORMAT = 1


def save_pretrained(checkpoint: StrPath, folder: StrPath) -> None:
    """Writes the model of a checkpoint as safetensors, and its configuration as JSON.

    Features of the folder are those of the checkpoint, so its hash stands for both.

    Args:
        checkpoint: A checkpoint of a run.
        folder: A folder without such files; created if missing.

    Raises:
        FileExistsError: If the folder holds a model.
        ImportError: If safetensors is not installed.
        ValueError: If the checkpoint is damaged or holds no model of this package.
    """
    (safetensors,) = import_optional("safetensors.torch", extra="interchange")
    folder = Path(folder)
    taken = next((name for name in (WEIGHTS, CONFIG) if (folder / name).exists()), None)
    if taken is not None:
        raise FileExistsError(f"{folder / taken} exists: choose another folder.")
    model, config, num_classes = load_trained_model(checkpoint)
    # Contiguous copies: tensors that share memory or lie in another order are refused or scrambled.
    tensors = {name: one.clone().contiguous() for name, one in model.state_dict().items()}
    with replacing(folder / WEIGHTS) as file:
        file.write(safetensors.save(tensors, {"format": "pt"}))
    about = {
        "format": FORMAT,
        "torchreid_occ": __version__,
        "checkpoint_hash": file_hash(checkpoint),
        "weights_hash": file_hash(folder / WEIGHTS),
        "num_classes": num_classes,
        "feature_dim": model.feature_dim,
        "provenance": describe_run(checkpoint, config, num_classes)._asdict(),
        "config": plain(config),
    }
    write_text(folder / CONFIG, json.dumps(about, indent=2) + "\n")  # last: it makes it complete


def is_pretrained(folder: StrPath) -> bool:
    """Returns whether a path is a folder of `save_pretrained`.

    Args:
        folder: The path.
    """
    return (Path(folder) / CONFIG).is_file() and (Path(folder) / WEIGHTS).is_file()


def check_pretrained(folder: StrPath) -> None:
    """Checks that a path is a folder of `save_pretrained`.

    Args:
        folder: The path.

    Raises:
        FileNotFoundError: If it is none.
    """
    if not is_pretrained(folder):
        raise FileNotFoundError(
            f"{folder} holds no {WEIGHTS} with {CONFIG}: `torchreid-occ export --format "
            "safetensors` writes such a folder."
        )


def load_pretrained(folder: StrPath) -> tuple[TrainedModel, str, Provenance]:
    """Loads the model of a folder.

    Args:
        folder: Folder of `save_pretrained`.

    Returns:
        The model, the hash of the checkpoint that it was, and what that was trained on.

    Raises:
        FileNotFoundError: If the folder holds no model.
        ImportError: If safetensors is not installed.
        ValueError: If a file is damaged or does not belong to the other.
    """
    (safetensors,) = import_optional("safetensors.torch", extra="interchange")
    folder = Path(folder)
    check_pretrained(folder)
    about: dict[str, Any] = read_json(folder / CONFIG)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"{folder / CONFIG} is no configuration of format {FORMAT}.")
    if file_hash(folder / WEIGHTS) != about["weights_hash"]:
        raise ValueError(
            f"{folder / WEIGHTS} is damaged or belongs to another {CONFIG}: export it again."
        )
    state = {"config": about["config"], "num_classes": about["num_classes"]}
    state["state_dict"] = safetensors.load_file(folder / WEIGHTS)
    model = trained_model_of(state, str(folder))
    return model, about["checkpoint_hash"], Provenance(**about["provenance"])
