"""Stores calibrations: one file of arrays and text."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np

from torchreid_occ._types import StrPath
from torchreid_occ.calibration.calibration import ARRAYS, Calibration
from torchreid_occ.calibration.joining import JOIN_WEIGHTS
from torchreid_occ.calibration.small_galleries import DEGREE
from torchreid_occ.calibration.space import unit
from torchreid_occ.utils.files import replacing

SUFFIX = ".calibration.npz"  # after the name of the checkpoint
FORMAT = 3


def calibration_path(checkpoint: StrPath) -> Path:
    """Returns the path of the calibration beside a checkpoint.

    Args:
        checkpoint: The checkpoint.
    """
    path = Path(checkpoint)
    return path.with_name(path.name + SUFFIX)


def save_calibration(calibration: Calibration, path: StrPath) -> None:
    """Writes a calibration atomically; the same calibration gives the same bytes.

    Args:
        calibration: The calibration.
        path: The file.
    """
    with replacing(path) as file:
        file.write(calibration_bytes(calibration))


def calibration_bytes(calibration: Calibration) -> bytes:
    """Returns the content of a calibration's file.

    Args:
        calibration: The calibration.
    """
    arrays = {name: getattr(calibration, name) for name in ARRAYS}
    facts = {
        "format": FORMAT,
        "checkpoint_hash": calibration.checkpoint_hash,
        "about": calibration.about,
    }
    arrays["cohort"] = calibration.cohort.astype(np.float16)
    content = BytesIO()
    np.savez(content, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)
    return content.getvalue()


def load_calibration(path: StrPath) -> Calibration:
    """Reads a calibration.

    Args:
        path: File that `save_calibration` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or no calibration.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no calibration {path}.") from None
    return read_calibration(content, str(path))


def read_calibration(content: bytes, place: str) -> Calibration:
    """Reads a calibration from the content of its file.

    Args:
        content: What `calibration_bytes` returned.
        place: Where it was found, for errors.

    Raises:
        ValueError: If it is damaged or no calibration.
    """
    try:
        with np.load(BytesIO(content), allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            arrays = {name: stored[name] for name in ARRAYS}
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']}, but expected {FORMAT}")
        arrays["cohort"] = unit(arrays["cohort"].astype(np.float32))
        found = Calibration(facts["checkpoint_hash"], facts["about"], **arrays)
        _check_shapes(found)
    except Exception as error:  # zipfile, NumPy and JSON have many kinds for damaged files
        raise ValueError(f"{place} is damaged or no calibration: {error}.") from error
    return found


def _check_shapes(found: Calibration) -> None:
    kinds = len(found.weights) - 1
    queries, depth = found.maxima.shape
    fit = (
        found.cohort.ndim == 2
        and found.cohort_cameras.shape == found.cohort.shape[:1]
        and found.variation.shape[1:] == found.cohort.shape[1:]
        and found.scale.shape == (2, kinds)
        and found.curve.ndim == 2
        and len(found.curve) == 2
        and found.first.shape == (3,)
        and found.join.shape == (DEGREE + 1, JOIN_WEIGHTS)
        and found.others.shape == (queries,)
        and found.mates.ndim == 1
        and min(queries, depth, len(found.mates), len(found.cohort)) > 0
    )
    numbers = [getattr(found, name) for name in ARRAYS if name != "maxima"]
    if not fit or not all(np.isfinite(array).all() for array in numbers):
        raise ValueError("its arrays do not fit together")
