"""Features of a user's tracklets equal those of the engine's test."""

import doctest
import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from small_backbone import SMALL_BACKBONE
from support import pairs
from torch import nn

from torchreid_occ import TrackletExtractor
from torchreid_occ.config import load_config, plain
from torchreid_occ.data import ClipDataManager
from torchreid_occ.engine import ClipEngine
from torchreid_occ.models import build_model
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.utils.checkpoint import save_checkpoint

SIZE = {"height": 64, "width": 32}
MODELS = {
    "baseline": {"backbone": SMALL_BACKBONE},
    "rfcnet": {"backbone": SMALL_BACKBONE},
    "rru_stim": {"backbone": SMALL_BACKBONE, "last_stride": 1},
}
SETTINGS = {
    **{f"data.{name}": str(value) for name, value in SIZE.items()},
    "data.sources": "sduvid",
    "data.workers": "0",
    "model.pretrained": "False",
    "video.test_clip_len": "3",
    "train.batch_size": "8",
    "sampler.num_instances": "2",
    "test.select": "last",
    "test.flip": "True",
}


@pytest.fixture(scope="module")
def trained(two_cameras, tmp_path_factory):
    """Returns a function from a model's name to a checkpoint and the engine's query features."""

    @functools.cache
    def make(name):
        settings = {**SETTINGS, "data.root": str(two_cameras), "model.name": name}
        config = load_config(None, pairs(settings)).clone()
        config.defrost()
        config.model.options.update(MODELS[name])
        torch.manual_seed(0)
        model = build_model(name, 4, **SIZE, **MODELS[name])
        for layer in model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(layer.weight)  # some start at zero, and so would features
        path = tmp_path_factory.mktemp("checkpoints") / "model.pth.tar-1"
        state = {"config": plain(config), "num_classes": 4, "state_dict": model.state_dict()}
        save_checkpoint(state, path)
        data = backend_of(config).build_datamanager()
        features = engine_features(data, model)
        (subsets,) = data.test_dataset.values()
        return Trained(path, features, [list(paths) for paths, *_ in subsets["query"]], data, model)

    return make


class Trained(NamedTuple):
    path: Path
    expected: torch.Tensor
    tracklets: list
    data: ClipDataManager
    model: nn.Module


def engine_features(data, model, **options):
    engine = ClipEngine(data, model, None, None, use_gpu=False, flip=True, **options)
    engine.set_model_mode("eval")
    (loaders,) = data.test_loader.values()
    return engine.extract(loaders["query"], "query").features


def pixels(path):
    return np.asarray(Image.open(path))


def test_the_example_of_the_docstring_runs(trained, tmp_path, monkeypatch):
    (tmp_path / "tracklets" / "0001").mkdir(parents=True)
    Image.new("RGB", (10, 20)).save(tmp_path / "tracklets" / "0001" / "1.png")
    monkeypatch.chdir(tmp_path)
    names = {
        "checkpoint": trained("baseline").path,
        "np": np,
        "TrackletExtractor": TrackletExtractor,
    }
    (example,) = doctest.DocTestFinder(recurse=False).find(TrackletExtractor, globs=names)
    assert len(example.examples) == 4
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_tracklet_gives_the_numbers_of_the_engines_test(trained, name):
    path, expected, tracklets, *_ = trained(name)
    extractor = TrackletExtractor(path)
    assert expected.std(0).max() > 1e-3  # tracklets differ
    assert expected.shape == (len(tracklets), extractor.feature_dim)
    assert torch.equal(extractor(tracklets), expected)
    folders = [paths[0].rpartition("/")[0] for paths in tracklets]
    arrays = [np.stack([pixels(path) for path in paths]) for paths in tracklets]
    tensor = torch.from_numpy(arrays[2]).permute(0, 3, 1, 2) / 255
    mixed = [folders[0], arrays[1], tensor, [*arrays[3]]]
    assert torch.equal(extractor(mixed), expected)


@pytest.mark.parametrize("name", MODELS)
def test_other_tracklets_change_the_last_digits_at_most(trained, name):
    """Batches of another size are summed in another order."""
    path, expected, tracklets, *_ = trained(name)
    found = TrackletExtractor(path, batch_size=1)(tracklets[2:])
    torch.testing.assert_close(found, expected[2:], rtol=1e-4, atol=1e-5)


def test_workers_change_nothing(trained):
    path, expected, tracklets, *_ = trained("baseline")
    assert torch.equal(TrackletExtractor(path, workers=2)(tracklets), expected)


def test_precision_may_be_chosen(trained):
    path, expected, tracklets, data, model = trained("baseline")
    half = TrackletExtractor(path, precision="bfloat16")(tracklets)
    assert half.dtype == torch.float32
    assert not torch.equal(half, expected)
    assert torch.equal(half, engine_features(data, model, test_precision="bfloat16"))


def test_openvino_gives_the_same_numbers(trained):
    path, expected, tracklets, *_ = trained("rfcnet")
    found = TrackletExtractor(path, backend="openvino")(tracklets)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert not torch.equal(found, expected)  # another library


def test_int8_without_training_tracklets_says_what_is_missing(trained, tmp_path):
    state = torch.load(trained("baseline").path, weights_only=True)
    state["config"]["data"]["root"] = str(tmp_path / "gone")
    save_checkpoint(state, tmp_path / "model.pth.tar-1")
    with pytest.raises(
        FileNotFoundError, match=r"(?s)no stages in int8 .* Precision 'bfloat16' needs"
    ):
        TrackletExtractor(tmp_path / "model.pth.tar-1", backend="openvino", precision="int8")


def test_tracklets_of_one_frame_and_frames_of_any_size(trained):
    extractor = TrackletExtractor(trained("rfcnet").path)
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (50 + i, 20 + i, 3), dtype=np.uint8) for i in range(4)]
    whole, start, end = extractor([frames, frames[:3], frames[3:]])
    torch.testing.assert_close(whole, (3 * start + end) / 4, rtol=1e-4, atol=1e-5)


def test_the_hash_of_the_checkpoint(trained):
    path = trained("baseline").path
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert TrackletExtractor(path).checkpoint_hash == expected


@pytest.mark.parametrize(
    ("tracklets", "message"),
    [
        ([], r"Received an empty list, but expected a list of tracklets"),
        ("folder", r"Received <class 'str'>, .* write \[tracklet\]"),
        (torch.zeros(1, 3, 4, 4), "Received <class 'torch.Tensor'>"),
        ([torch.zeros(1, 3, 4, 4), []], "Tracklet 1: it has no frames"),
        ([np.zeros((1, 4, 4), np.uint8)], r"Tracklet 0: received an array of uint8 and shape"),
    ],
)
def test_values_that_are_no_list_of_tracklets_are_refused(trained, tracklets, message):
    with pytest.raises(ValueError, match=message):
        TrackletExtractor(trained("baseline").path)(tracklets)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_frame_is_named(trained, tmp_path, workers):
    extractor = TrackletExtractor(trained("baseline").path, workers=workers)
    (tmp_path / "1.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r'Cannot decode image ".*1\.jpg": not a format'):
        extractor([tmp_path])
    with pytest.raises(FileNotFoundError, match=r"Tracklet 0: there is no folder .*absent"):
        extractor([tmp_path / "absent"])


def test_files_that_are_no_checkpoint_of_this_package_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint .*absent\.pth"):
        TrackletExtractor(tmp_path / "absent.pth")
    weights = {"classifier.weight": torch.zeros(2)}
    for name, content in {
        "bare.pth": weights,
        "tensor.pth": torch.zeros(2),
        "torchreid.pth": {"state_dict": weights, "epoch": 3, "rank1": 0.5},
    }.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(ValueError, match=f"{name} is no checkpoint of this package: it lacks"):
            TrackletExtractor(tmp_path / name)
    (tmp_path / "text.pth").write_text("weights")
    with pytest.raises(ValueError, match=r"text\.pth is a text file, not a checkpoint"):
        TrackletExtractor(tmp_path / "text.pth")


def test_settings_are_checked(trained):
    path = trained("baseline").path
    with pytest.raises(ValueError, match=r"TrackletExtractor: test\.precision is 'half', but must"):
        TrackletExtractor(path, precision="half")
    with pytest.raises(ValueError, match=r"test\.batch_size is 0, but must be at least 1"):
        TrackletExtractor(path, batch_size=0)
