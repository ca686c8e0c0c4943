"""The image network run by OpenVINO: equal features in float32, near ones in int8, kept files."""

import ctypes
import json
import sys
import threading
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from small_backbone import SMALL_BACKBONE
from torch import nn
from torch.nn.functional import cosine_similarity

from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine import acceleration
from torchreid_occ.engine.acceleration import (
    FEWEST,
    CalibrationTracklets,
    calibration_clips,
    check_backend,
    stage_runners,
    supported_precision,
)
from torchreid_occ.engine.stage_archive import read_archive
from torchreid_occ.engine.stage_runners import (
    JoinedStage,
    StageRunner,
    convert,
    stages_of,
    stages_run_by,
)
from torchreid_occ.models import ClipModel, build_model
from torchreid_occ.models.backbones import Stage
from torchreid_occ.models.frame_embedder import EmbeddedClip

SIZE = (32, 16)


class OneStage(ClipModel):
    """A convolution as a stage, and its mean over a clip's frames and pixels."""

    feature_dim = 16

    def __init__(self):
        super().__init__()
        layers = OrderedDict(conv=nn.Conv2d(3, 16, 3), relu=nn.ReLU())
        self.stage = Stage(layers, 1)

    def forward_clip(self, clip):
        maps = self.stage(clip.flatten(0, 1)).mean((2, 3))
        return EmbeddedClip(maps.unflatten(0, clip.shape[:2]).mean(1))


def one_stage():
    torch.manual_seed(0)
    return OneStage().eval()


def model_of(name, **options):
    torch.manual_seed(0)
    options = {"backbone": SMALL_BACKBONE, **options}
    model = build_model(name, 4, height=SIZE[0], width=SIZE[1], **options)
    with torch.no_grad():  # statistics of some frames; in train mode
        model(torch.randn(4, 4, 3, *SIZE))
    return model.eval()


def tracklets(count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(256, size=(3, 40, 20, 3), dtype=np.uint8) for _ in range(count)]


def calibration(count=FEWEST):
    return lambda: CalibrationTracklets(tracklets(count), ClipTransform(*SIZE))


def features(model, runners):
    clips = calibration_clips(CalibrationTracklets(tracklets(FEWEST, seed=1), ClipTransform(*SIZE)))
    with torch.inference_mode(), stages_run_by(stages_of(model), runners):
        return model(clips)


@pytest.mark.parametrize("name", ["rfcnet", "rru_stim"])
def test_float32_gives_the_features_of_a_model_with_blocks_between_and_after_stages(name):
    options = {"stages": [2]} if name == "rfcnet" else {"last_stride": 1, "auxiliary": "none"}
    model = model_of(name, **options)
    runners = stage_runners(model, "float32", SIZE)
    expected, found = features(model, {}), features(model, runners)
    assert len(runners) == 4
    assert 0 < (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert all(stage.runner is None for stage in stages_of(model).values())


def test_no_use_is_reported_over_the_internet():
    convert(one_stage().stage, torch.rand(1, 3, *SIZE))
    assert sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__.endswith("_stub")


def test_joined_stages_keep_their_own_precisions(monkeypatch):
    """Stages in int8 behind one in float32."""
    monkeypatch.setattr(acceleration, "choose_stages", lambda names, cosine: (names[1:], 1.0))
    model = model_of("baseline")
    joined = stage_runners(model, "int8", SIZE, None, calibration())
    assert [type(runner) for runner in joined.values()] == [StageRunner, *[JoinedStage] * 3]
    assert [runner.precision for runner in joined.values()] == ["float32", *["int8"] * 3]
    found, expected = features(model, joined), features(model, {})
    assert cosine_similarity(found, expected).mean() >= 0.999
    assert not torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_training_and_gradients_leave_the_runners_alone():
    model = one_stage()
    runners = {name: lambda maps, few: 1 / 0 for name in stages_of(model)}
    with stages_run_by(stages_of(model), runners):
        assert model(torch.zeros(1, 1, 3, *SIZE)).requires_grad
        with torch.no_grad(), pytest.raises(ZeroDivisionError):
            model(torch.zeros(1, 1, 3, *SIZE))


@pytest.fixture
def warned(caplog):
    """Returns the log of the package's warnings."""
    with caplog.at_level("WARNING", "torchreid_occ"):
        yield caplog


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    """Returns a model, the folder of its int8 stages, and its features in int8."""
    model, folder = one_stage(), tmp_path_factory.mktemp("model")
    runners = stage_runners(model, "int8", SIZE, folder, calibration())
    return model, folder, features(model, runners)


def test_int8_is_near_to_float32_but_not_equal():
    model = model_of("rfcnet", stages=[2])
    found = features(model, stage_runners(model, "int8", SIZE, None, calibration()))
    expected = features(model, {})
    assert not torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert cosine_similarity(found, expected).mean() >= 0.999


def test_a_kept_file_gives_the_same_features_without_the_training_tracklets(quantised):
    model, folder, found = quantised
    assert torch.equal(features(model, stage_runners(model, "int8", SIZE, folder, fails)), found)


def fails():
    raise AssertionError("The training tracklets were read.")


def test_other_weights_are_calibrated_anew(quantised):
    _, folder, _ = quantised
    other = one_stage()
    with torch.no_grad():
        other.stage.conv.weight.mul_(1.5)
    with pytest.raises(AssertionError, match="were read"):
        stage_runners(other, "int8", SIZE, folder, fails)


@pytest.mark.parametrize("damage", ["foreign", "truncated"])
def test_a_foreign_or_damaged_file_is_named_and_made_anew(quantised, tmp_path, warned, damage):
    model, folder, found = quantised
    (kept,) = folder.iterdir()
    file = tmp_path / kept.name
    if damage == "foreign":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("about.json", json.dumps({"key": "of another", "stages": []}))
    else:
        file.write_bytes(kept.read_bytes()[:500])
    with pytest.raises(ValueError, match="other weights" if damage == "foreign" else "damaged"):
        read_archive(file, "key")
    runners = stage_runners(model, "int8", SIZE, tmp_path, calibration())
    assert f"{file}" in warned.text
    assert torch.equal(features(model, runners), found)
    assert zipfile.ZipFile(file).testzip() is None


def test_stages_that_int8_changes_too_much_stay_in_float32(monkeypatch, warned):
    monkeypatch.setattr(acceleration, "LEAST_COSINE", 1.1)  # none is near enough
    model = one_stage()
    runners = stage_runners(model, "int8", SIZE, None, calibration())
    assert "left in float32" in warned.text
    assert [runner.precision for runner in runners.values()] == ["float32"]
    assert torch.allclose(features(model, runners), features(model, {}), rtol=1e-4, atol=1e-5)


def test_few_training_tracklets_are_refused():
    model = one_stage()
    with pytest.raises(ValueError, match=rf"there are {FEWEST - 1}: at least {FEWEST}"):
        stage_runners(model, "int8", SIZE, None, calibration(FEWEST - 1))


def test_calibration_reads_frames_spread_over_the_training_set():
    found = calibration_clips(CalibrationTracklets(tracklets(300), ClipTransform(*SIZE)))
    assert found.shape == (acceleration.TRACKLETS, acceleration.FRAMES, 3, *SIZE)
    assert len({clip.sum().item() for clip in found}) == len(found)


def test_a_processor_without_bfloat16_computes_in_float32_and_says_so(monkeypatch, warned):
    monkeypatch.setattr(acceleration, "is_supported", lambda precision: False)
    assert supported_precision("bfloat16") == "float32"
    assert "no instructions for bfloat16" in warned.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("torch", "int8", False, False), "set test.backend to 'openvino'"),
        (("openvino", "float16", False, False), r"has \['float32', 'bfloat16', 'int8'\]"),
        (("openvino", "int8", True, False), "set use_gpu to False"),
        (("openvino", "int8", False, True), "test.compile is for test.backend 'torch'"),
    ],
)
def test_what_a_backend_cannot_compute_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        check_backend(*arguments)


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ImportError, match=r"'nncf'.*torchreid-occ\[openvino\]"):
        check_backend("openvino", "int8", False, False)


def test_a_model_without_stages_is_refused():
    with pytest.raises(ValueError, match="Linear has no image network"):
        stage_runners(torch.nn.Linear(2, 2), "float32", SIZE)


class SignalStack(ctypes.Structure):
    _fields_ = [
        ("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)
    ]  # fmt: skip


def signal_stack_is_there():
    """Whether the memory of this thread's alternate stack for signals, if any, is mapped."""
    stack = SignalStack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    if not stack.start:
        return True
    with open("/proc/self/maps") as maps:  # noqa: PTH123
        ranges = [line.split()[0].split("-") for line in maps]
    return any(int(low, 16) <= stack.start < int(high, 16) for low, high in ranges)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_runner_released_in_another_thread_leaves_the_stack_for_signals():
    stage = Stage(OrderedDict(conv=nn.Conv2d(3, 4, 3)), 1).eval()
    runners = [StageRunner(convert(stage, torch.rand(1, 3, 8, 8)), "float32")]
    thread = threading.Thread(target=runners.clear)
    thread.start()
    thread.join()
    assert not runners and signal_stack_is_there()
