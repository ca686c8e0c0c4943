"""Exported models give the features of the model, with any number of clips and frames."""

import io
import itertools
import json
import os
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from torchreid_occ import TrackletExtractor, export
from torchreid_occ.config import load_config, plain
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.engine import acceleration
from torchreid_occ.engine.onnx_stages import Quantised
from torchreid_occ.export import Exported, Format, export_here, export_model
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
    onnxruntime = pytest.importorskip("onnxruntime")
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
    assert export_model(path, file_format, out).deviation < 1e-5
    assert check_file(file_format, out, model) == name.partition(" ")[0]


def test_what_that_process_runs_gives_the_models_features(
    checkpoint_of, tmp_path, monkeypatch, capsys
):
    path, model = checkpoint_of("baseline")
    out = tmp_path / "exported"
    given = {"checkpoint": str(path), "file_format": "torch_export", "out": str(out)}
    monkeypatch.setattr(sys, "argv", ["-c", json.dumps(given)])
    exec(export._WORKER, {})
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert Exported(*answer["exported"]).deviation < 1e-5
    assert check_file("torch_export", out, model) == "baseline"


def test_an_export_has_a_process_of_its_own(checkpoint_of, tmp_path, monkeypatch):
    path, out = checkpoint_of("baseline")[0], tmp_path / "out"
    given = {"checkpoint": str(path), "file_format": "onnx", "out": str(out), "precision": "int8"}
    given |= {"sources": ["mars"], "root": str(tmp_path)}
    worker = (
        "import json, os, sys\n"
        f"assert json.loads(sys.argv[1]) == {given}\n"
        "print('a line of a library')\n"
        "print(json.dumps({'exported': [os.getppid(), 1, 1]}))"
    )
    monkeypatch.setattr(export, "_WORKER", worker)
    found = export_model(path, "onnx", out, "int8", ["mars"], tmp_path)
    assert found == (os.getpid(), 1, 1, ())


@pytest.fixture
def pretended(monkeypatch):
    """Exports nothing: what is read back is the given function of clips."""

    def pretend(read, program=lambda model, size, precision: None):
        monkeypatch.setattr(export, "_program", program)
        written = lambda program, about: b"graph"  # noqa: E731
        formats = {"onnx": Format(("float32", "int8"), written, lambda content: read)}
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
    exported = export_here(path, "onnx", tmp_path / "out.onnx")
    assert exported.deviation < 1e-5 and exported.least_cosine == pytest.approx(1)
    assert (tmp_path / "out.onnx").read_bytes() == b"graph"
    with pytest.raises(FileExistsError, match=r"out\.onnx exists: remove it or choose another"):
        export_model(path, "onnx", tmp_path / "out.onnx")


def test_what_can_not_be_expressed_is_named(checkpoint_of, tmp_path, pretended):
    def fail(model, size, precision):
        raise RuntimeError("Constraints violated\nand more")

    pretended(None, fail)
    message = r"baseline can't be exported to onnx \(Constraints violated\): docs/export\.md"
    with pytest.raises(ValueError, match=message):
        export_here(checkpoint_of("baseline")[0], "onnx", tmp_path / "out.onnx")


@pytest.mark.parametrize("kind", [ValueError, ImportError, OSError, FileNotFoundError])
def test_errors_of_that_process_are_passed_on(checkpoint_of, tmp_path, monkeypatch, kind):
    worker = export._WORKER.partition("try:")
    failing = f"def export_here(**_): raise {kind.__name__}('why')\n"
    imports = worker[0].replace("from torchreid_occ.export import export_here\n", failing)
    monkeypatch.setattr(export, "_WORKER", imports + "try:" + worker[2])
    with pytest.raises(kind, match="why"):
        export_model(checkpoint_of("baseline")[0], "torch_export", tmp_path / "out")
    monkeypatch.setattr(export, "_WORKER", "import os; os._exit(7)")
    with pytest.raises(RuntimeError, match="ended with status 7"):
        export_model(checkpoint_of("baseline")[0], "torch_export", tmp_path / "out")


@pytest.fixture
def training_data(two_cameras):
    """The arguments that name training tracklets."""
    return {"sources": ["sduvid"], "root": two_cameras}


def test_bfloat16_is_in_the_graph_of_torch_export(checkpoint_of, tmp_path):
    path, model = checkpoint_of("baseline")
    exported = export_here(path, "torch_export", tmp_path / "out.pt2", "bfloat16")
    clips = torch.randn(2, 5, 3, HEIGHT, WIDTH)
    found, about = features_by("torch_export", (tmp_path / "out.pt2").read_bytes(), clips)
    with torch.no_grad():
        expected = model(clips)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(clips)
    assert found.dtype == torch.float32 and about["precision"] == "bfloat16"
    torch.testing.assert_close(found, half.float(), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert 0.999 < exported.least_cosine < 1 and exported.deviation > 1e-4


def test_int8_is_calibrated_on_the_training_tracklets(
    checkpoint_of, tmp_path, monkeypatch, pretended, training_data
):
    monkeypatch.setattr(acceleration, "FEWEST", 2)
    seen = []

    def quantise(content, model, clips):
        seen.append((content, clips.shape))
        return Quantised(onnx.ModelProto().SerializeToString(), 0.9995, 0.998, ["stage"])

    monkeypatch.setattr(export, "quantise_stages", quantise)
    path, model = checkpoint_of("baseline")
    pretended(model)
    found = export_here(path, "onnx", tmp_path / "out.onnx", "int8", **training_data)
    assert (found.cosine, found.least_cosine, found.left) == (0.9995, 0.998, ["stage"])
    trained_on = tracklets_of(load_dataset("sduvid", training_data["root"]))["train"]
    assert seen == [(b"graph", (len(trained_on), 2, 3, HEIGHT, WIDTH))]
    properties = {one.key: one.value for one in onnx.load(tmp_path / "out.onnx").metadata_props}
    assert properties["precision"] == '"int8"' and properties["model"] == '"baseline"'


@pytest.mark.slow
@pytest.mark.parametrize("name", ["baseline", "rfcnet", "rru_stim"])
def test_an_int8_file_is_near_and_the_extractor_reads_it(
    checkpoint_of, tmp_path, monkeypatch, training_data, name
):
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(acceleration, "FEWEST", 2)
    path, _ = checkpoint_of(name)
    found = export_here(path, "onnx", tmp_path / "out.onnx", "int8", **training_data)
    assert found.cosine >= 0.999 and len(found.left) < 4  # weights were drawn at random
    extractor = TrackletExtractor(tmp_path / "out.onnx", workers=0)
    tracklets = [np.random.default_rng(0).integers(256, size=(5, 70, 40, 3), dtype=np.uint8)]
    trained = TrackletExtractor(path, workers=0)
    own, expected = (one(tracklets) for one in (extractor, trained))
    assert nn.functional.cosine_similarity(own, expected).item() > 0.99
    assert not torch.allclose(own, expected, rtol=1e-4, atol=1e-4)
    assert extractor.precision == "int8"
    kinds = [one.op_type for one in onnx.load(tmp_path / "out.onnx").graph.node]
    assert kinds.count("QuantizeLinear") > 2


def test_too_few_training_tracklets_are_refused(checkpoint_of, tmp_path, training_data):
    with pytest.raises(ValueError, match=r"calibrated on training tracklets, .* at least 32"):
        path, _ = checkpoint_of("baseline")
        export_here(path, "onnx", tmp_path / "out.onnx", "int8", **training_data)
    with pytest.raises(FileNotFoundError):
        export_here(path, "onnx", tmp_path / "out.onnx", "int8", ["sduvid"], tmp_path / "gone")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("file_format", "precision"), [("onnx", "bfloat16"), ("torch_export", "int8"), ("onnx", "half")]
)
def test_precisions_of_each_format_are_listed(tmp_path, file_format, precision):
    message = rf"'{precision}' for format '{file_format}', .* {{'onnx': \['float32', 'int8'\], "
    with pytest.raises(ValueError, match=message):
        export_model(tmp_path / "model.pth", file_format, tmp_path / "out", precision)


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
