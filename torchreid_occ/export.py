"""Trained models in forms that run without this package, each checked against the model."""

import io
import json
import warnings
from pathlib import Path

import torch
from torch.export import Dim

from torchreid_occ.runs.builders import load_trained_model
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.files import file_hash, replacing
from torchreid_occ.utils.progress import progress
from torchreid_occ.version import __version__

CHECKED = ((1, 1), (1, 2), (2, 1), (3, 5), (2, 8))  # clips in a batch, frames in a clip
TOLERANCE = 1e-4  # largest deviation from the model, relative to its largest value
ABOUT = "about.json"  # name of what a torch.export file says of itself


def export_model(checkpoint, file_format, out):
    """Writes the test form of a model: clips `(B, T, 3, H, W)` to features `(B, D)`.

    B and T are free; H and W, and how frames are normalised, are the checkpoint's and written
    beside the graph, with what else is worth knowing of it.

    Args:
        checkpoint: A checkpoint of a run.
        file_format: One of `FORMATS`.
        out: The file to write.

    Returns:
        The largest deviation from the model that was seen, relative to its largest value.

    Raises:
        FileExistsError: If there is such a file.
        ImportError: If a package that the format needs is not installed.
        ValueError: If the format is unknown, the model can't be expressed in it, or gives other
            features there; then nothing is written.
    """
    if file_format not in FORMATS:
        raise ValueError(f"Received format {file_format!r}, but expected one of {[*FORMATS]}.")
    if Path(out).exists():
        raise FileExistsError(f"{out} exists: remove it or choose another name.")
    model, config = load_trained_model(checkpoint)
    data = config.data
    about = {
        "torchreid_occ": __version__,
        "model": config.model.name,
        "checkpoint": file_hash(checkpoint),
        "feature_dim": model.feature_dim,
        "clip_len": config.video.test_clip_len,
        **{key: data[key] for key in ("height", "width", "norm_mean", "norm_std")},
    }
    write, read = FORMATS[file_format]
    size = (data.height, data.width)
    try:
        content = write(_program(model, size), about)
    except RuntimeError as error:  # of torch.export and torch.onnx alike
        cause = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = next(iter(str(cause).splitlines()), type(cause).__name__)
        raise ValueError(
            f"{config.model.name} can't be exported to {file_format} ({reason}): docs/export.md "
            "says what can."
        ) from error
    deviation = _deviation(model, read(content), size)
    if not deviation <= TOLERANCE:  # which not a number isn't, either
        raise ValueError(
            f"In {file_format}, features of {config.model.name} deviate by {deviation:.1e} of the "
            f"largest value, more than {TOLERANCE}: nothing was written."
        )
    with replacing(out) as file:
        file.write(content)
    return deviation


def _program(model, size):
    """The model's graph, with any number of clips and frames."""
    # Only a loop that is an operator leaves the number of frames of an LSTM free.
    from torch.export._patches import register_lstm_while_loop_decomposition

    free = {0: Dim("B"), 1: Dim("T")}
    model.requires_grad_(False)  # what runs in a loop is traced once more for ONNX
    with torch.no_grad(), register_lstm_while_loop_decomposition():
        return torch.export.export(
            model, (torch.zeros(2, 3, 3, *size),), dynamic_shapes=(free,), strict=False
        )


def _torch_export_file(program, about):
    file = io.BytesIO()
    with warnings.catch_warnings():
        # It means weights that lie channels last, which come back as they were.
        warnings.filterwarnings("ignore", message="No complete tensor found")
        torch.export.save(program, file, extra_files={ABOUT: json.dumps(about)})
    return file.getvalue()


def _torch_export_reader(content):
    return torch.export.load(io.BytesIO(content)).module()


def _onnx_file(program, about):
    onnx, *_ = import_optional("onnx", "onnxscript", "onnxruntime", extra="export")
    exported = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=["clips"],
        output_names=["features"],
        dynamic_shapes=({0: "B", 1: "T"},),
    ).model_proto
    onnx.helper.set_model_props(exported, {key: json.dumps(about[key]) for key in about})
    return exported.SerializeToString()


def _onnx_reader(content):
    (runtime,) = import_optional("onnxruntime", extra="export")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda clips: torch.from_numpy(session.run(None, {"clips": clips.numpy()})[0])


# By name: how a graph becomes a file, and how that is read back.
FORMATS = {
    "onnx": (_onnx_file, _onnx_reader),
    "torch_export": (_torch_export_file, _torch_export_reader),
}


@torch.no_grad()
def _deviation(model, exported, size):
    """By how much features deviate at most, relative to the largest, for clips of noise."""
    generator = torch.Generator().manual_seed(0)
    deviations = []
    for clips, frames in progress(CHECKED, "checks", unit="batch"):
        batch = torch.randn(clips, frames, 3, *size, generator=generator)
        expected = model(batch)
        deviations.append((exported(batch) - expected).abs().max() / expected.abs().max())
    return torch.stack(deviations).max().item()
