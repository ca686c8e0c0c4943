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
