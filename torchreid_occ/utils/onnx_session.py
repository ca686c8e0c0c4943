"""Runs ONNX files by onnxruntime on the CPU."""

from pathlib import Path
from typing import Any

import torch

from torchreid_occ._types import StrPath
from torchreid_occ.utils.dependencies import import_optional

_ERRORS = 3  # severity from which onnxruntime prints; its warnings are about optimisations


def open_session(path: StrPath) -> Any:
    """Opens an ONNX file on the CPU, with as many threads as PyTorch has.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If onnxruntime is not installed.
        ValueError: If it is damaged or needs operators that onnxruntime lacks.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no ONNX file {path}.")
    (runtime,) = import_optional("onnxruntime", extra="export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _ERRORS
    # Weights in int8 are multiplied by float32, as the file says, not by values rounded to 8 bits.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base of their own
        raise ValueError(f"{path} is an ONNX file that onnxruntime cannot run: {error}") from error


def shape_of(value: Any) -> list[int | None]:
    """Returns the shape of an input or output; None where a size is free.

    Args:
        value: From a session's `get_inputs` or `get_outputs`.
    """
    return [size if isinstance(size, int) else None for size in value.shape]


def frame_shape(path: StrPath, session: Any, kind: str) -> list[int | None]:
    """Returns the shape of a session's input, frames `(N, 3, H, W)`; None where a size is free.

    Args:
        path: The file.
        session: Its session.
        kind: What the file should be, for the error.

    Raises:
        ValueError: If it has another input.
    """
    inputs = session.get_inputs()
    shape = shape_of(inputs[0])
    is_frames = len(shape) == 4 and shape[1] in (3, None) and inputs[0].type == "tensor(float)"
    if len(inputs) != 1 or not is_frames:
        found = [(one.name, one.shape, one.type) for one in inputs]
        raise ValueError(
            f"{path} is no {kind}: its inputs are {found}, but expected one of (N, 3, H, W) in "
            "float32."
        )
    return shape
