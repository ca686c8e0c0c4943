"""Features of one's own tracklets are those of the engine's test."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from support import pairs

from torchreid_occ import TrackletExtractor
from torchreid_occ.config import load_config, plain
from torchreid_occ.models import build_model
from torchreid_occ.pipelines.build import build_datamanager, build_engine
from torchreid_occ.utils.checkpoint import load_checkpoint, save_checkpoint

SIZE = {"height": 64, "width": 32}
MODELS = {
    "baseline": {"backbone": "resnet18_x0_5"},
    "rfcnet": {"backbone": "resnet18_x0_5"},
    "rru_stim": {"backbone": "resnet18_x0_5", "last_stride": 1},
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
def checkpoint_of(two_cameras, tmp_path_factory):
    """Writes a checkpoint of a new model; gives its path, configuration and model."""

    def write(name):
        config = load_config(
            None, pairs({**SETTINGS, "data.root": str(two_cameras), "model.name": name})
        ).clone()
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
        return path, config, model

    return write


def engine_features(config, model):
    """Features of the queries by the engine, and their frames' paths."""
    data = build_datamanager(config)
    engine = build_engine(config, data, model, {})
    engine.set_model_mode("eval")
    (loaders,) = data.test_loader.values()
    paths = [list(paths) for paths, *_ in loaders["query"].dataset.tracklets]
    return engine.extract(loaders["query"], "query").features, paths


def pixels(path):
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_tracklet_gives_the_numbers_of_the_engines_test(checkpoint_of, name):
    path, config, model = checkpoint_of(name)
    expected, tracklets = engine_features(config, model)
    extractor = TrackletExtractor(path)
    assert expected.std(0).max() > 1e-3  # tracklets differ
    assert expected.shape == (len(tracklets), extractor.feature_dim)
    assert torch.equal(extractor(tracklets), expected)
    folders = [str(paths[0]).rpartition("/")[0] for paths in tracklets]
    assert torch.equal(extractor(folders), expected)
    arrays = [np.stack([pixels(path) for path in paths]) for paths in tracklets]
    assert torch.equal(extractor(arrays), expected)
    tensors = [torch.from_numpy(array).permute(0, 3, 1, 2) / 255 for array in arrays]
    assert torch.equal(extractor(tensors), expected)
    mixed = [folders[0], arrays[1], tensors[2], *tracklets[3:]]
    assert torch.equal(extractor(mixed), expected)


@pytest.mark.parametrize("name", MODELS)
def test_company_moves_the_last_digits_at_most(checkpoint_of, name):
    """Batches of another size are added up in another order."""
    path, config, model = checkpoint_of(name)
    expected, tracklets = engine_features(config, model)
    extractor = TrackletExtractor(path, batch_size=1)
    alone = torch.cat([extractor([tracklet]) for tracklet in tracklets])
    torch.testing.assert_close(alone, expected, rtol=1e-4, atol=1e-5)


def test_workers_change_nothing(checkpoint_of):
    path, config, model = checkpoint_of("baseline")
    expected, tracklets = engine_features(config, model)
    assert torch.equal(TrackletExtractor(path, workers=2)(tracklets), expected)


def test_precision_may_be_chosen(checkpoint_of):
    path, config, model = checkpoint_of("baseline")
    expected, tracklets = engine_features(config, model)
    half = TrackletExtractor(path, precision="bfloat16")(tracklets)
    assert half.dtype == torch.float32
    assert not torch.equal(half, expected)
    assert torch.cosine_similarity(half, expected).min() > 0.999
    config.test.precision = "bfloat16"
    assert torch.equal(half, engine_features(config, model)[0])


def test_tracklets_of_one_frame_and_of_any_length_and_size(checkpoint_of):
    extractor = TrackletExtractor(checkpoint_of("rfcnet")[0])
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (50 + i, 20 + i, 3), dtype=np.uint8) for i in range(7)]
    features = extractor([[frames[0]], frames, frames[:3]])
    assert features.shape == (3, 256)
    assert features.isfinite().all()
    clips = extractor([frames[:3], frames[3:6], frames[6:]])
    mean = (3 * clips[0] + 3 * clips[1] + clips[2]) / 7
    torch.testing.assert_close(features[1], mean, rtol=1e-4, atol=1e-5)


def test_the_checkpoint_is_told_by_its_hash(checkpoint_of):
    path, *_ = checkpoint_of("baseline")
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
def test_what_is_no_list_of_tracklets_is_refused(checkpoint_of, tracklets, message):
    with pytest.raises(ValueError, match=message):
        TrackletExtractor(checkpoint_of("baseline")[0])(tracklets)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_frame_is_named(checkpoint_of, tmp_path, workers):
    extractor = TrackletExtractor(checkpoint_of("baseline")[0], workers=workers)
    (tmp_path / "1.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r'Cannot decode image ".*1\.jpg": not a format'):
        extractor([tmp_path])
    with pytest.raises(FileNotFoundError, match=r"Tracklet 0: there is no folder .*absent"):
        extractor([tmp_path / "absent"])


def test_what_is_no_checkpoint_of_this_package_is_refused(checkpoint_of, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint .*absent\.pth"):
        TrackletExtractor(tmp_path / "absent.pth")
    state = load_checkpoint(checkpoint_of("baseline")[0])
    for name, content in {
        "bare.pth": state["state_dict"],
        "tensor.pth": torch.zeros(2),
        "torchreid.pth": {"state_dict": state["state_dict"], "epoch": 3, "rank1": 0.5},
    }.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(ValueError, match=f"{name} is no checkpoint of this package: it lacks"):
            TrackletExtractor(tmp_path / name)
    (tmp_path / "text.pth").write_text("weights")
    with pytest.raises(ValueError, match=r"text\.pth is damaged or no checkpoint"):
        TrackletExtractor(tmp_path / "text.pth")


def test_settings_are_checked(checkpoint_of):
    path, *_ = checkpoint_of("baseline")
    with pytest.raises(ValueError, match=r"TrackletExtractor: test\.precision is 'half', but must"):
        TrackletExtractor(path, precision="half")
    with pytest.raises(ValueError, match=r"test\.batch_size is 0, but must be at least 1"):
        TrackletExtractor(path, batch_size=0)
