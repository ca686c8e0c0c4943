"""What a configuration's engine chooses."""

import pytest
import torch
from small_backbone import SMALL_BACKBONE
from torch import nn

from torchreid_occ.config import load_config
from torchreid_occ.engine.backend import BuiltModel, results_by_target
from torchreid_occ.engine.clip_backend import ClipBackend
from torchreid_occ.engine.torchreid_backend import TorchreidBackend
from torchreid_occ.models import WeightsUnavailable
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.run import run_experiment

TORCHREID = ["engine", "torchreid", "loss.name", "softmax", "model.name", "resnet18"]
SMALL = ["model.options.backbone", SMALL_BACKBONE, "model.name", "baseline"]


def test_each_engine_has_its_backend():
    ours, theirs = backend_of(load_config()), backend_of(load_config(None, TORCHREID))
    assert (type(ours), type(theirs)) == (ClipBackend, TorchreidBackend)
    assert (ours.can_resume, ours.one_process) == (True, False)
    assert (theirs.can_resume, theirs.one_process) == (False, True)


def test_models_read_clips_or_frames():
    clips = torch.rand(2, 3, 3, 4, 2)
    ours, theirs = backend_of(load_config()), backend_of(load_config(None, TORCHREID))
    assert ours.model_input(clips) is clips
    assert torch.equal(theirs.model_input(clips)[4], clips[1, 1])


def test_weights_lie_in_memory_as_in_the_engine():
    strides = []
    for settings in ([], TORCHREID):
        layer = nn.Conv2d(2, 3, 3)
        backend_of(load_config(None, settings)).lay_out(layer)
        strides.append(layer.weight.stride())
    assert strides == [(18, 1, 6, 2), (18, 9, 3, 1)]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (["model.name", "rfc"], KeyError, "model.name is 'rfc', but must be one of .*'rfcnet'"),
        (["model.name", "resnet18"], KeyError, "model.name is 'resnet18', but must be one of"),
        (["model.options.backbon", "x"], KeyError, r"model.options has no \['backbon'\]"),
        (["loss.name", "softmax"], KeyError, "loss.name is 'softmax', but must be one of"),
        (["loss.options.x", "1"], KeyError, r"loss.options has no \['x'\]"),
        (
            ["test.dist_metric", "kissme", "test.metric_options.num", "9"],
            KeyError,
            r"test.metric_options has no \['num'\]: KISSME takes \['num_components', 'ridge'\]",
        ),
        (["test.metric_options.ridge", "0.1"], ValueError, "'cosine' is not learned: it is for"),
        (["loss.name", "rfcnet"], ValueError, r"add \['foreground', 'keypoints'\]"),
        ([*TORCHREID, "loss.name", "identity"], KeyError, r"must be one of \['softmax', 'triplet'"),
        ([*TORCHREID, "model.options.x", "1"], ValueError, "resnet18 takes none"),
        ([*TORCHREID, "loss.options.use_gpu", "1"], KeyError, r"loss.options has no \['use_gpu'\]"),
    ],
)
def test_parts_are_checked_before_data_is_loaded(settings, error, message):
    with pytest.raises(error, match=message):
        backend_of(load_config(None, settings)).check_parts()


def test_a_run_of_torchreids_engine_is_not_resumed(tmp_path):
    config = load_config(None, [*TORCHREID, "data.save_dir", str(tmp_path)])
    (tmp_path / "config.yaml").write_text(config.dump())
    with pytest.raises(ValueError, match="is torchreid as it is, which can't resume a run"):
        run_experiment(config, resume=True)


def test_automatic_weights_draw_as_a_model_without_weights(monkeypatch):
    backend = backend_of(load_config(None, SMALL))
    new_model = backend.new_model

    def without_weights(num_classes, pretrained):
        if pretrained:
            torch.rand(5)
            raise WeightsUnavailable("none")
        return new_model(num_classes, False)

    monkeypatch.setattr(backend, "new_model", without_weights)
    built = []
    for pretrained in ("auto", False):
        torch.manual_seed(0)
        built.append(backend.build_model(3, pretrained))
    assert [pretrained for _, pretrained in built] == [False, False]
    weights = [model.state_dict().values() for model, _ in built]
    assert all(map(torch.equal, *weights))


def test_named_parts_are_taken_and_the_log_says_which(tmp_path, caplog):
    first = backend_of(load_config(None, SMALL)).build_model(3, False).model
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": first.state_dict()}, path)
    settings = [*SMALL, "model.start_from", str(path), "model.start_parts"]
    torch.manual_seed(7)
    taken = backend_of(load_config(None, [*settings, "['backbone']"]))
    with caplog.at_level("INFO", "torchreid_occ"):
        second = taken.build_model(3, False).model
    assert all(
        torch.equal(value, second.state_dict()[name]) == (not name.startswith("classifier"))
        for name, value in first.state_dict().items()
        if name.startswith(("backbone", "classifier.w"))
    )
    assert "(classifier, neck)" in caplog.text
    with pytest.raises(ValueError, match=r"start_parts are \['stem'\], but the model has no"):
        backend_of(load_config(None, [*settings, "['stem']"])).build_model(3, False)


def test_results_without_a_selected_checkpoint_are_those_of_the_last():
    last, selected = {"a": {"mAP": 0.5}, "b": {"mAP": 0.2}}, {"a": {"mAP": 0.7}, "b": {"mAP": 0.1}}
    found = results_by_target({"last": last})
    assert found["a"] == {"last": {"mAP": 0.5}, "selected": {"mAP": 0.5}}
    found = results_by_target({"last": last, "selected": selected})
    assert found["b"] == {"last": {"mAP": 0.2}, "selected": {"mAP": 0.1}}


def test_torchreids_models_say_that_torchreid_read_their_weights():
    backend = backend_of(load_config(None, TORCHREID))
    layer = nn.Linear(1, 1)
    assert backend.origin_of(BuiltModel(layer, True)) == ("torchreid", "resnet18", None, None)
    assert backend.origin_of(BuiltModel(layer, False)) is None
