"""Features of tracklets by the clip engine, and what a test makes of them."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_engine import FrameMean, Loader, engine
from torch.utils.data import DataLoader

from torchreid_occ.data.clips import TestClips, collate
from torchreid_occ.data.images import read_image
from torchreid_occ.data.samplers import ClipBatchSampler, in_order
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine.evaluation import Features


def test_a_tracklets_feature_is_the_mean_over_its_frames():
    loader = Loader()
    found = extract(engine(), loader)
    frames = loader.dataset.frames.mean((2, 3))
    expected = torch.stack([frames[:3].mean(0), frames[3]])
    torch.testing.assert_close(found.features, expected)
    assert found.pids.tolist() == [5, 6]
    assert found.camids.tolist() == [0, 1]


def extract(built, loader):
    built.set_model_mode("eval")
    with torch.no_grad():
        return built.extract(loader, "test")


def test_flip_averages_the_mirror_image():
    class LeftHalf(FrameMean):
        def forward(self, clips):
            return clips[..., :1].mean((1, 3, 4))

    built = engine(flip=True)
    built.model = LeftHalf().eval()
    clips = torch.rand(2, 3, 3, 4, 2)
    torch.testing.assert_close(built.extract_features(clips), clips.mean((1, 3, 4)))


def test_a_compiled_model_is_tested_in_the_place_of_the_model(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model, dynamic: lambda clips: 2 * model(clips))
    plain, compiled = (extract(engine(compile_test=c), Loader()) for c in (False, True))
    torch.testing.assert_close(compiled.features, 2 * plain.features)


@pytest.mark.slow
def test_a_compiled_model_gives_the_same_features():
    plain, compiled = (extract(engine(flip=True, compile_test=c), Loader()) for c in (False, True))
    torch.testing.assert_close(compiled.features, plain.features)


def test_what_carries_its_state_is_not_compiled(monkeypatch):
    monkeypatch.setattr(FrameMean, "carries", True)
    with pytest.raises(ValueError, match=r"test\.compile is True, but FrameMean carries"):
        engine(compile_test=True)


def test_results_of_every_target_are_kept():
    built = engine()
    rank1 = built.test(dist_metric="cosine", ranks=[1, 20])
    assert rank1 == 1.0
    assert built.results.keys() == {"first", "second"}
    for target, results in built.results.items():
        queries = len(built.test_loader[target]["query"].dataset.tracklets)
        expected = {"mAP": 1.0, "cmc": {1: 1.0, 20: 1.0}, "average_precisions": [1.0] * queries}
        assert results == expected


class Recurrent(FrameMean):
    """A feature to which later frames contribute more, read clip by clip."""

    carries, feature_dim = True, 3

    def extend(self, state, clip):
        total, place = (0, 0) if state is None else state
        for frame in clip.mean((3, 4)).unbind(1):
            place += 1
            total = total + place * frame
        return total, place

    def finish(self, state):
        return state[0]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_models_that_carry_their_state_read_tracklets_in_order(flip, batch_size, tmp_path):
    rng = np.random.default_rng(0)
    tracklets = []
    for pid, length in enumerate((5, 3, 5, 1, 5)):
        paths = [str(tmp_path / f"{pid}_{frame}.png") for frame in range(length)]
        for path in paths:
            Image.fromarray(rng.integers(0, 255, (4, 2, 3), dtype=np.uint8)).save(path)
        tracklets.append((tuple(paths), pid, 0, 0))
    clips = TestClips(tracklets, 2, ClipTransform(4, 2))
    sampler = ClipBatchSampler(clips.clips, batch_size, 2)
    loader = DataLoader(clips, batch_sampler=sampler, collate_fn=collate)
    built = engine(flip=flip)
    built.model = Recurrent()
    found = extract(built, loader)
    assert found.pids.tolist() == [0, 1, 2, 3, 4]
    for index, (paths, *_) in enumerate(tracklets):
        frames, _, _ = ClipTransform(4, 2)([read_image(path) for path in paths])
        places = torch.arange(1, len(paths) + 1.0)[:, None]
        expected = (places * frames.mean((2, 3))).sum(0)
        torch.testing.assert_close(found.features[index], expected, rtol=1e-4, atol=1e-4)
    assert max(len(batch["img"]) for batch in in_order(loader)) == batch_size


@pytest.mark.parametrize("metric", ["kissme", "xqda"])
def test_a_learned_metric_is_fitted_to_the_training_tracklets(metric, monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.arange(6).repeat(2), np.tile([0, 1], 6)

    def features(noise):
        seen = rng.normal(size=(6, 2)).repeat(2, axis=0)
        parts = [seen + 0.05 * rng.normal(size=(12, 2)), noise * rng.normal(size=(12, 2))]
        return Features(torch.tensor(np.concatenate(parts, axis=1)).float(), *labels)

    known, asked = features(5.0), features(5.0)
    built = engine()
    built.datamanager.train_dataset = "training tracklets"
    built.datamanager.loader_of = lambda tracklets: tracklets
    built.test_loader = {"target": {"query": "query", "gallery": "gallery"}}
    sets = {"training tracklets": known, "query": asked, "gallery": asked}
    monkeypatch.setattr(built, "extract", lambda loader, description: sets[loader])
    scores = {}
    for name in ("euclidean", metric):
        built.test(dist_metric=name)
        scores[name] = built.results["target"]["mAP"]
    assert scores[metric] > scores["euclidean"] + 0.2
