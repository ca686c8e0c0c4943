"""Exports trained models to formats that run without this package, and checks their features."""

import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from torchreid_occ._types import StrPath
from torchreid_occ.embedders.provenance import describe_run
from torchreid_occ.models.clip_model import ClipModel
from torchreid_occ.runs.builders import load_trained_model
from torchreid_occ.utils.checkpoint import check_checkpoint
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.files import file_hash, replacing
from torchreid_occ.utils.progress import progress
from torchreid_occ.version import __version__

CHECKED = ((1, 1), (1, 2), (2, 1), (3, 5), (2, 8))  # clips in a batch, frames in a clip
TOLERANCE = 1e-4  # largest deviation from the model's features, relative to the largest value
ABOUT = "about.json"  # name of the metadata in a file of torch.export

# Prints the deviation, or the user's error, as its last line.
_WORKER = """
import json, sys
from torchreid_occ.export import export_here

try:
    answer = {"deviation": export_here(*sys.argv[1:])}
except (ImportError, OSError, ValueError) as error:
    kind = next(k for k in (ImportError, OSError, ValueError) if isinstance(error, k))
    answer = {"error": kind.__name__, "message": str(error)}
print(json.dumps(answer))
"""
_ERRORS = {"ImportError": ImportError, "OSError": OSError, "ValueError": ValueError}

Features: TypeAlias = Callable[[Tensor], Tensor]  # `(B, T, 3, H, W)` to `(B, D)`


class Format(NamedTuple):
    """A format of files.

    Attributes:
        write: Converts a graph and metadata to the file's content.
        read: Converts the file's content to a function from clips to features.
    """

    write: Callable[[ExportedProgram, dict[str, Any]], bytes]
    read: Callable[[bytes], Features]


def export_model(checkpoint: StrPath, file_format: str, out: StrPath) -> float:
    """Exports a model in eval mode: clips `(B, T, 3, H, W)` to features `(B, D)`.

    B and T are free; H and W are those of the checkpoint. The file also holds metadata, such as the
    size and the normalisation of the frames.

    The export runs in a process of its own, as what a process has exported before may fix the
    number of frames in its later exports.

    Args:
        checkpoint: A checkpoint of a run.
        file_format: One of `FORMATS`.
        out: The file to write.

    Returns:
        The largest deviation from the model's features, relative to the largest value.

    Raises:
        FileExistsError: If the file exists.
        ImportError: If a package that the format needs is not installed.
        ValueError: If the format is unknown, the model can't be expressed in it, or the exported
            model gives other features; then nothing is written.
    """
    if file_format not in FORMATS:
        raise ValueError(f"Received format {file_format!r}, but expected one of {[*FORMATS]}.")
    if Path(out).exists():
        raise FileExistsError(f"{out} exists: remove it or choose another name.")
    check_checkpoint(checkpoint)
    done = subprocess.run(
        [sys.executable, "-c", _WORKER, os.fspath(checkpoint), file_format, os.fspath(out)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The process that exports ended with status {done.returncode}.")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "error" in answer:
        raise _ERRORS[answer["error"]](answer["message"])
    deviation: float = answer["deviation"]
    return deviation


def export_here(checkpoint: StrPath, file_format: str, out: StrPath) -> float:
    """Exports a model in this process, see `export_model`.

    Args:
        checkpoint: A checkpoint of a run.
        file_format: One of `FORMATS`.
        out: The file to write.

    Returns:
        The largest deviation from the model's features, relative to the largest value.
    """
    model, config, num_people = load_trained_model(checkpoint)
    data = config.data
    about = {
        "torchreid_occ": __version__,
        "model": config.model.name,
        "checkpoint": file_hash(checkpoint),
        "feature_dim": model.feature_dim,
        "clip_len": config.video.test_clip_len,
        "provenance": describe_run(checkpoint, config, num_people)[1:],
        **{key: data[key] for key in FRAME_KEYS},
    }
    write, read = FORMATS[file_format]
    size = (data.height, data.width)
    try:
        content = write(_program(model, size), about)
    except RuntimeError as error:  # torch.export and torch.onnx raise subclasses of it
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = next(iter(str(cause).splitlines()), type(cause).__name__)
        raise ValueError(
            f"{config.model.name} can't be exported to {file_format} ({reason}): docs/export.md "
            "says what can."
        ) from error
    deviation = _deviation(model, read(content), size)
    if not deviation <= TOLERANCE:  # refuses NaN, too
        raise ValueError(
            f"In {file_format}, features of {config.model.name} deviate by {deviation:.1e} of the "
            f"largest value, more than {TOLERANCE}: nothing was written."
        )
    with replacing(out) as file:
        file.write(content)
    return deviation


def _program(model: ClipModel, size: tuple[int, int]) -> ExportedProgram:
    """Traces the model's graph, with any number of clips and frames."""
    # Keeps the number of frames of an LSTM free by a loop operator; private in torch.
    from torch.export._patches import register_lstm_while_loop_decomposition

    free = {0: Dim("B"), 1: Dim("T")}
    model.requires_grad_(False)  # ONNX traces the body of a loop again, with gradients enabled
    with torch.no_grad(), register_lstm_while_loop_decomposition():
        return torch.export.export(
            model, (torch.zeros(2, 3, 3, *size),), dynamic_shapes=(free,), strict=False
        )


def _torch_export_file(program: ExportedProgram, about: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Warns of weights in channels last layout, which are restored unchanged.
        warnings.filterwarnings("ignore", message="No complete tensor found")
        torch.export.save(program, file, extra_files={ABOUT: json.dumps(about)})
    return file.getvalue()


def _torch_export_reader(content: bytes) -> Features:
    return torch.export.load(io.BytesIO(content)).module()


def _onnx_file(program: ExportedProgram, about: dict[str, Any]) -> bytes:
    onnx, *_ = import_optional("onnx", "onnxscript", "onnxruntime", extra="export")
    exported = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=["clips"],
        output_names=["features"],
        dynamic_shapes=({0: "B", 1: "T"},),
    )
    assert exported is not None  # as no file was named
    proto = exported.model_proto
    onnx.helper.set_model_props(proto, {key: json.dumps(about[key]) for key in about})
    return proto.SerializeToString()


def _onnx_reader(content: bytes) -> Features:
    (runtime,) = import_optional("onnxruntime", extra="export")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda clips: torch.from_numpy(session.run(None, {"clips": clips.numpy()})[0])


FRAME_KEYS = ("height", "width", "interpolation", "norm_mean", "norm_std")
FORMATS = {
    "onnx": Format(_onnx_file, _onnx_reader),
    "torch_export": Format(_torch_export_file, _torch_export_reader),
}


@torch.no_grad()
def _deviation(model: ClipModel, exported: Features, size: tuple[int, int]) -> float:
    """Measures the largest deviation of features for clips of noise, relative to the largest."""
    generator = torch.Generator().manual_seed(0)
    deviations = []
    for clips, frames in progress(CHECKED, "checks", unit="batch"):
        batch = torch.randn(clips, frames, 3, *size, generator=generator)
        expected = model(batch)
        deviations.append((exported(batch) - expected).abs().max() / expected.abs().max())
    return float(torch.stack(deviations).max().item())
