"""Exported models give the features of the model, with any number of clips and frames."""

import io
import itertools
import json
import os
import sys

import numpy as np
import pytest
import torch
from torch import nn

from torchreid_occ import export
from torchreid_occ.config import load_config, plain
from torchreid_occ.export import export_here, export_model
from torchreid_occ.models import build_model
from torchreid_occ.utils.checkpoint import save_checkpoint

HEIGHT, WIDTH = 64, 32
NARROW = {"backbone": "resnet18_x0_5"}
MODELS = {
    "baseline": {},
    "rfcnet": {"stages": [2, 3]},
    "rfcnet fixed": {"partition": "fixed", "assignment": "fixed", "stages": [3]},
    "rfcnet stn": {"partition": "stn", "stages": [3]},
    "rfcnet foreground": {"arrangement": "foreground", "stages": [3]},
    "vrstc": {},
    "rru_stim": {"last_stride": 1},
    "rru_stim appearance": {"last_stride": 1, "inputs": "appearance"},
    "rru_stim lstm": {"last_stride": 1, "rru": False, "integration": "lstm"},
    "trl_st2n": {"hidden": 8},
    "trl_st2n frame": {"level": "frame", "alignment": "stn"},
}


@pytest.fixture
def checkpoint_of(tmp_path):
    """Writes the checkpoint of a new model; gives its path and the model."""

    def write(key):
        name, options = key.partition(" ")[0], {**NARROW, **MODELS[key]}
        settings = ["model.name", name, "data.height", str(HEIGHT), "data.width", str(WIDTH)]
        config = load_config(None, settings).clone()
        config.defrost()
        config.model.options.update(options)
        torch.manual_seed(0)
        model = build_model(name, 4, height=HEIGHT, width=WIDTH, **options).eval()
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight)  # some start at zero, and with it a whole branch
        state = {"config": plain(config), "num_classes": 4, "state_dict": model.state_dict()}
        save_checkpoint(state, tmp_path / "model.pth")
        return tmp_path / "model.pth", model

    return write


def features_by(file_format, content, clips):
    """What a user without this package gets of a file, and what it says of itself."""
    if file_format == "torch_export":
        about = {"about.json": ""}
        program = torch.export.load(io.BytesIO(content), extra_files=about)
        with torch.no_grad():
            return program.module()(clips), json.loads(about["about.json"])
    onnx, onnxruntime = (pytest.importorskip(name) for name in ("onnx", "onnxruntime"))
    session = onnxruntime.InferenceSession(content)
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape) == ("clips", ["B", "T", 3, HEIGHT, WIDTH])
    assert (made.name, made.shape[0]) == ("features", "B")
    (found,) = session.run(None, {"clips": clips.numpy()})
    properties = onnx.load_from_string(content).metadata_props
    return torch.from_numpy(found), {one.key: json.loads(one.value) for one in properties}


def check_file(file_format, path, model):
    """Compares features by a file with the model's, and what the file says of itself."""
    torch.manual_seed(1)
    for clips, frames in ((1, 1), (2, 11)):  # 11 is none of those it was checked at
        batch = torch.randn(clips, frames, 3, HEIGHT, WIDTH)
        found, about = features_by(file_format, path.read_bytes(), batch)
        with torch.no_grad():
            expected = model(batch)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert about["feature_dim"] == model.feature_dim == found.shape[1]
    assert (about["height"], about["width"], about["clip_len"]) == (HEIGHT, WIDTH, 64)
    assert np.allclose(about["norm_mean"], [0.485, 0.456, 0.406])
    return about["model"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file_format"), [*itertools.product(MODELS, export.FORMATS)])
def test_a_file_gives_the_models_features(checkpoint_of, tmp_path, monkeypatch, name, file_format):
    """What this process did before, here something that fails, is not in the export's process."""
    monkeypatch.setattr(export, "_program", None)
    if file_format == "onnx":
        pytest.importorskip("onnxscript")
    path, model = checkpoint_of(name)
    out = tmp_path / "exported"
    assert export_model(path, file_format, out) < 1e-5
    assert check_file(file_format, out, model) == name.partition(" ")[0]


def test_what_that_process_runs_gives_the_models_features(
    checkpoint_of, tmp_path, monkeypatch, capsys
):
    path, model = checkpoint_of("baseline")
    out = tmp_path / "exported"
    monkeypatch.setattr(sys, "argv", ["-c", str(path), "torch_export", str(out)])
    exec(export._WORKER, {})
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["deviation"] < 1e-5
    assert check_file("torch_export", out, model) == "baseline"


def test_an_export_has_a_process_of_its_own(checkpoint_of, tmp_path, monkeypatch):
    path, out = checkpoint_of("baseline")[0], tmp_path / "out"
    worker = (
        "import json, os, sys\n"
        f"assert sys.argv[1:] == {[str(path), 'onnx', str(out)]}\n"
        "print('a line of a library')\n"
        "print(json.dumps({'deviation': os.getppid()}))"
    )
    monkeypatch.setattr(export, "_WORKER", worker)
    assert export_model(path, "onnx", out) == os.getpid()


@pytest.fixture
def pretended(monkeypatch):
    """Exports nothing: what is read back is the given function of clips."""

    def pretend(read, program=lambda model, size: None):
        monkeypatch.setattr(export, "_program", program)
        formats = {"onnx": (lambda program, about: b"graph", lambda content: read)}
        monkeypatch.setattr(export, "FORMATS", formats)

    return pretend


@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_a_file_with_other_features_is_not_written(checkpoint_of, tmp_path, pretended, factor):
    path, model = checkpoint_of("baseline")
    pretended(lambda clips: model(clips) * (1 if len(clips) < 3 else factor))
    with pytest.raises(ValueError, match=r"features of baseline deviate by .* nothing was written"):
        export_here(path, "onnx", tmp_path / "out.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["model.pth"]


def test_what_is_there_is_not_overwritten(checkpoint_of, tmp_path, pretended):
    path, model = checkpoint_of("baseline")
    pretended(model)
    assert export_here(path, "onnx", tmp_path / "out.onnx") < 1e-5
    assert (tmp_path / "out.onnx").read_bytes() == b"graph"
    with pytest.raises(FileExistsError, match=r"out\.onnx exists: remove it or choose another"):
        export_model(path, "onnx", tmp_path / "out.onnx")


def test_what_can_not_be_expressed_is_named(checkpoint_of, tmp_path, pretended):
    def fail(model, size):
        raise RuntimeError("Constraints violated\nand more")

    pretended(None, fail)
    message = r"baseline can't be exported to onnx \(Constraints violated\): docs/export\.md"
    with pytest.raises(ValueError, match=message):
        export_here(checkpoint_of("baseline")[0], "onnx", tmp_path / "out.onnx")


@pytest.mark.parametrize("kind", [ValueError, ImportError, OSError])
def test_errors_of_that_process_are_passed_on(checkpoint_of, tmp_path, monkeypatch, kind):
    worker = export._WORKER.partition("try:")
    failing = f"def export_here(*_): raise {kind.__name__}('why')\n"
    imports = worker[0].replace("from torchreid_occ.export import export_here\n", failing)
    monkeypatch.setattr(export, "_WORKER", imports + "try:" + worker[2])
    with pytest.raises(kind, match="why"):
        export_model(checkpoint_of("baseline")[0], "torch_export", tmp_path / "out")
    monkeypatch.setattr(export, "_WORKER", "import os; os._exit(7)")
    with pytest.raises(RuntimeError, match="ended with status 7"):
        export_model(checkpoint_of("baseline")[0], "torch_export", tmp_path / "out")


def test_formats_are_listed(tmp_path):
    with pytest.raises(ValueError, match=r"'tflite', but expected one of \['onnx', 'torch_export"):
        export_model(tmp_path / "model.pth", "tflite", tmp_path / "out")


@pytest.mark.parametrize("absent", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named(monkeypatch, absent):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, 1)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ImportError, match=rf"'{absent}',.*pip install torchreid-occ\[export\]"):
        export._onnx_file(None, {})
