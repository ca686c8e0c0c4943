"""Exports trained models to formats that run without this package, and checks their features."""

import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F
from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.config import merged, plain
from torchreid_occ.embedders.onnx_file import EXPORTED, FRAME_KEYS
from torchreid_occ.embedders.provenance import describe_run
from torchreid_occ.engine.acceleration import (
    CalibrationTracklets,
    calibration_clips,
    training_tracklets,
)
from torchreid_occ.engine.onnx_stages import quantise_stages
from torchreid_occ.engine.precision import Precision
from torchreid_occ.models.clip_model import ClipModel
from torchreid_occ.runs.builders import build_test_transform, load_trained_model
from torchreid_occ.utils.checkpoint import check_checkpoint
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.files import file_hash, replacing
from torchreid_occ.utils.progress import progress
from torchreid_occ.version import __version__

CHECKED = ((1, 1), (1, 2), (2, 1), (3, 5), (2, 8))  # clips in a batch, frames in a clip
# Largest deviation of features from those of the model in float32, relative to the largest value.
TOLERANCES = {"float32": 1e-4, "bfloat16": 5e-2}
ABOUT = "about.json"  # name of the metadata in a file of torch.export

# Prints what `export_here` returns, or the user's error, as its last line.
_WORKER = """
import json, sys
from torchreid_occ.export import export_here

try:
    answer = {"exported": export_here(**json.loads(sys.argv[1]))}
except (ImportError, OSError, ValueError) as error:
    kinds = (ImportError, FileNotFoundError, OSError, ValueError)
    kind = next(k for k in kinds if isinstance(error, k))
    answer = {"error": kind.__name__, "message": str(error)}
print(json.dumps(answer))
"""
_ERRORS = {kind.__name__: kind for kind in (ImportError, FileNotFoundError, OSError, ValueError)}

Features: TypeAlias = Callable[[Tensor], Tensor]  # `(B, T, 3, H, W)` to `(B, D)`


class Exported(NamedTuple):
    """How far the features of an exported file are from those of the model in float32.

    Attributes:
        deviation: The largest deviation on clips of noise, relative to the largest value; in int8
            that of the file before it was quantised.
        cosine: Mean cosine, on clips of noise; in int8 on training tracklets that it was not
            calibrated on.
        least_cosine: The least one.
        left: Stages of the image network that int8 left in float32.
    """

    deviation: float
    cosine: float
    least_cosine: float
    left: Sequence[str] = ()


class Format(NamedTuple):
    """A format of files.

    Attributes:
        precisions: What it can compute in.
        write: Converts a graph and metadata to the file's content.
        read: Converts the file's content to a function from clips to features.
    """

    precisions: tuple[str, ...]
    write: Callable[[ExportedProgram, dict[str, Any]], bytes]
    read: Callable[[bytes], Features]


def export_model(
    checkpoint: StrPath,
    file_format: str,
    out: StrPath,
    precision: str = "float32",
    sources: Sequence[str] | None = None,
    root: StrPath | None = None,
) -> Exported:
    """Exports a model in eval mode: clips `(B, T, 3, H, W)` to features `(B, D)`, in float32.

    B and T are free; H and W are those of the checkpoint. The file also holds metadata, such as the
    size and the normalisation of the frames.

    The export runs in a process of its own, as what a process has exported before may fix the
    number of frames in its later exports.

    Args:
        checkpoint: A checkpoint of a run.
        file_format: One of `FORMATS`.
        out: The file to write.
        precision: What the file computes in, one of those of its format. In 'int8', the stages of
            the image network are quantised, and all else stays in float32.
        sources: Datasets on whose training tracklets int8 is calibrated; those of the checkpoint
            if None.
        root: Folder of these datasets; likewise.

    Raises:
        FileExistsError: If the file exists.
        FileNotFoundError: If the training tracklets are needed and not there.
        ImportError: If a package that the format needs is not installed.
        ValueError: If the format or the precision is unknown, the model can't be expressed in it,
            there are too few training tracklets, or the exported model gives other features; then
            nothing is written.
    """
    _check_precision(file_format, precision)
    if Path(out).exists():
        raise FileExistsError(f"{out} exists: remove it or choose another name.")
    check_checkpoint(checkpoint)
    arguments = {
        "checkpoint": os.fspath(checkpoint),
        "file_format": file_format,
        "out": os.fspath(out),
        "precision": precision,
        "sources": sources,
        "root": None if root is None else os.fspath(root),
    }
    done = subprocess.run(
        [sys.executable, "-c", _WORKER, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The process that exports ended with status {done.returncode}.")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "error" in answer:
        raise _ERRORS[answer["error"]](answer["message"])
    return Exported(*answer["exported"])


def _check_precision(file_format: str, precision: str) -> None:
    if file_format not in FORMATS:
        raise ValueError(f"Received format {file_format!r}, but expected one of {[*FORMATS]}.")
    if precision not in FORMATS[file_format].precisions:
        offered = {name: [*one.precisions] for name, one in FORMATS.items()}
        raise ValueError(
            f"Received precision {precision!r} for format {file_format!r}, but expected one of "
            f"those of a format: {offered}."
        )


def export_here(
    checkpoint: StrPath,
    file_format: str,
    out: StrPath,
    precision: str = "float32",
    sources: Sequence[str] | None = None,
    root: StrPath | None = None,
) -> Exported:
    """Exports a model in this process, see `export_model`.

    Args:
        checkpoint: A checkpoint of a run.
        file_format: One of `FORMATS`.
        out: The file to write.
        precision: See `export_model`.
        sources: Likewise.
        root: Likewise.
    """
    model, config, num_people = load_trained_model(checkpoint)
    data = config.data
    about = {
        EXPORTED: __version__,
        "model": config.model.name,
        "checkpoint": file_hash(checkpoint),
        "feature_dim": model.feature_dim,
        "clip_len": config.video.test_clip_len,
        "precision": precision,
        "provenance": describe_run(checkpoint, config, num_people)[1:],
        **{key: data[key] for key in FRAME_KEYS},
    }
    clips = _calibration_clips(config, sources, root) if precision == "int8" else None
    _, write, read = FORMATS[file_format]
    size = (data.height, data.width)
    try:
        content = write(_program(model, size, precision), about)
    except RuntimeError as error:  # torch.export and torch.onnx raise subclasses of it
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = next(iter(str(cause).splitlines()), type(cause).__name__)
        raise ValueError(
            f"{config.model.name} can't be exported to {file_format} ({reason}): docs/export.md "
            "says what can."
        ) from error
    exported = _compared(model, read(content), size)
    tolerance = TOLERANCES.get(precision, TOLERANCES["float32"])
    if not exported.deviation <= tolerance:  # refuses NaN, too
        raise ValueError(
            f"In {file_format}, features of {config.model.name} deviate by "
            f"{exported.deviation:.1e} of the largest value, more than {tolerance}: nothing was "
            "written."
        )
    if clips is not None:
        quantised = quantise_stages(content, model, clips)
        content = _with_metadata(quantised.content, about)
        found = quantised.cosine, quantised.least_cosine, quantised.left
        exported = Exported(exported.deviation, *found)
    with replacing(out) as file:
        file.write(content)
    return exported


def _calibration_clips(
    config: CfgNode, sources: Sequence[str] | None, root: StrPath | None
) -> Tensor:
    """Reads the training tracklets on which int8 is calibrated and compared."""
    given = {"sources": sources, "root": None if root is None else os.fspath(root)}
    data = {key: value for key, value in given.items() if value is not None}
    config = merged(plain(config), [{"data": data}], "export_model")
    transform = build_test_transform(config)
    return calibration_clips(CalibrationTracklets(training_tracklets(config), transform))


class _Autocast(nn.Module):
    """A model in half precision; its features are in float32."""

    def __init__(self, model: ClipModel, precision: str) -> None:
        super().__init__()
        self.model, self.precision = model, Precision(precision, "cpu")

    def forward(self, clips: Tensor) -> Tensor:
        with self.precision.autocast():
            return self.model(clips).float()


def _program(model: ClipModel, size: tuple[int, int], precision: str) -> ExportedProgram:
    """Traces the model's graph, with any number of clips and frames."""
    traced = _Autocast(model, precision).eval() if precision == "bfloat16" else model
    # Keeps the number of frames of an LSTM free by a loop operator; private in torch.
    from torch.export._patches import register_lstm_while_loop_decomposition

    free = {0: Dim("B"), 1: Dim("T")}
    model.requires_grad_(False)  # ONNX traces the body of a loop again, with gradients enabled
    with torch.no_grad(), register_lstm_while_loop_decomposition():
        return torch.export.export(
            traced, (torch.zeros(2, 3, 3, *size),), dynamic_shapes=(free,), strict=False
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
    import_optional("onnx", "onnxscript", "onnxruntime", extra="export")
    exported = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=["clips"],
        output_names=["features"],
        dynamic_shapes=({0: "B", 1: "T"},),
    )
    assert exported is not None  # as no file was named
    return _with_metadata(exported.model_proto.SerializeToString(), about)


def _with_metadata(content: bytes, about: dict[str, Any]) -> bytes:
    """Returns an ONNX file with other metadata."""
    (onnx,) = import_optional("onnx", extra="export")
    proto = onnx.load_from_string(content)
    onnx.helper.set_model_props(proto, {key: json.dumps(about[key]) for key in about})
    return bytes(proto.SerializeToString())


def _onnx_reader(content: bytes) -> Features:
    (runtime,) = import_optional("onnxruntime", extra="export")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda clips: torch.from_numpy(session.run(None, {"clips": clips.numpy()})[0])


FORMATS = {
    "onnx": Format(("float32", "int8"), _onnx_file, _onnx_reader),
    "torch_export": Format(("float32", "bfloat16"), _torch_export_file, _torch_export_reader),
}


@torch.no_grad()
def _compared(model: ClipModel, exported: Features, size: tuple[int, int]) -> Exported:
    """Compares features of clips of noise."""
    generator = torch.Generator().manual_seed(0)
    deviations, cosines = [], []
    for clips, frames in progress(CHECKED, "checks", unit="batch"):
        batch = torch.randn(clips, frames, 3, *size, generator=generator)
        expected, found = model(batch), exported(batch)
        deviations.append((found - expected).abs().max() / expected.abs().max())
        cosines.append(F.cosine_similarity(found, expected))
    every = torch.cat(cosines)
    deviation = torch.stack(deviations).max().item()
    return Exported(deviation, every.mean().item(), every.min().item())
