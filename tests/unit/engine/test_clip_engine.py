from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from torchreid_occ.data.clips import TestClips, collate
from torchreid_occ.data.images import read_image
from torchreid_occ.data.samplers import ClipBatchSampler, in_order
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine.evaluation import Features
from torchreid_occ.engine.video import ClipEngine
from torchreid_occ.utils.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint


class Output(NamedTuple):
    logits: torch.Tensor
    features: torch.Tensor


class FrameMean(nn.Module):
    """Its feature is the mean frame, so that features can be checked by hand."""

    carries = False

    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(3, 4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, clips):
        features = clips.mean((1, 3, 4))
        logits = self.classifier(self.dropout(features))
        return Output(logits, features) if self.training else features


class Criterion(nn.Module):
    def forward(self, outputs, batch):
        loss = F.cross_entropy(outputs.logits, batch["pid"])
        return {"loss": loss, "ce": loss.detach()}


class Clips(torch.utils.data.Dataset):
    """Two tracklets of 3 and 1 frames as clips of two frames at most."""

    tracklets = ((("a", "b", "c"), 5, 0, 0), (("d",), 6, 1, 0))

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.frames = torch.rand(4, 3, 4, 2, generator=generator)

    def batches(self):
        """Out of order, as clips of equal length are batched together."""
        frames = self.frames
        yield {
            "img": torch.stack([frames[2:3], frames[3:4]]),
            "tracklet": torch.tensor([0, 1]),
            "num_frames": torch.tensor([1, 1]),
        }
        yield {
            "img": frames[None, :2],
            "tracklet": torch.tensor([0]),
            "num_frames": torch.tensor([2]),
        }


class Loader:
    def __init__(self, swap_cameras=False):
        self.dataset = Clips()
        if swap_cameras:
            self.dataset.tracklets = tuple(
                (paths, pid, 1 - camid, dsetid) for paths, pid, camid, dsetid in Clips.tracklets
            )

    def __len__(self):
        return 2

    def __iter__(self):
        return self.dataset.batches()


class TrainLoader:
    def __init__(self, poison=None):
        self.poison, self.epoch = poison, None

    def __len__(self):
        return 3

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.epoch)
        for index in range(3):
            batch = {
                "img": torch.rand(4, 2, 3, 4, 2, generator=generator),
                "pid": torch.arange(4),
            }
            if (self.epoch, index) == self.poison:
                batch["img"] *= float("nan")
            yield batch


class Manager:
    sources, data_type = ["x"], "video"
    val_loader = None

    def __init__(self, poison=None):
        self.train_loader = TrainLoader(poison)
        self.test_loader = {
            name: {"query": Loader(), "gallery": Loader(swap_cameras=True)}
            for name in ("first", "second")
        }

    def set_epoch(self, epoch):
        self.train_loader.epoch = epoch


def engine(validations=None, poison=None, **options):
    torch.manual_seed(0)
    model = FrameMean()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    built = ClipEngine(Manager(poison), model, optimizer, Criterion(), scheduler, **options)
    if validations is not None:
        scores = iter(validations)
        built.validate = lambda: next(scores)
    return built


def weights(built):
    return built.model.classifier.weight.detach().clone()


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


def test_what_carries_its_state_is_not_compiled():
    FrameMean.carries = True
    try:
        with pytest.raises(ValueError, match=r"test\.compile is True, but FrameMean carries"):
            engine(compile_test=True)
    finally:
        FrameMean.carries = False


def test_checkpoints_hold_plain_values_and_follow_their_frequency(tmp_path):
    built = engine(metadata={"config": {"a": 1}, "num_classes": 4})
    built.run(tmp_path, max_epoch=5, checkpoint_freq=2)
    saved = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert saved == ["model.pth.tar-2", "model.pth.tar-4", "model.pth.tar-5"]
    state = load_checkpoint(checkpoint_path(tmp_path, 4))
    assert (state["epoch"], state["step"], state["num_classes"]) == (4, 12, 4)
    assert state["config"] == {"a": 1}
    assert torch.equal(
        state["state_dict"]["classifier.weight"],
        state["models"]["model"]["state_dict"]["classifier.weight"],
    )


@pytest.mark.parametrize("stop", [2, 3])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, stop):
    whole = engine()
    whole.run(tmp_path / "whole", max_epoch=5, checkpoint_freq=1)
    engine().run(tmp_path / "parts", max_epoch=stop, checkpoint_freq=2)
    torch.rand(17)  # whatever state the process is in
    continued = engine()
    continued.run(tmp_path / "parts", max_epoch=5, checkpoint_freq=2)
    assert torch.equal(weights(continued), weights(whole))
    assert continued.step == whole.step == 15
    assert continued.get_current_lr() == whole.get_current_lr()


def test_dropout_differs_between_epochs_and_seeds(tmp_path):
    first, second = engine(seed=1), engine(seed=2)
    first.run(tmp_path / "1", max_epoch=1)
    second.run(tmp_path / "2", max_epoch=1)
    assert not torch.equal(weights(first), weights(second))


def test_the_best_validated_checkpoint_is_selected_and_the_last_weights_stay(tmp_path):
    built = engine(validations=[0.2, 0.6, 0.6, 0.1])
    results = built.run(tmp_path, max_epoch=4, checkpoint_freq=100, eval_freq=1)
    assert built.best == {"epoch": 2, "mAP": 0.6}
    assert set(results) == {"last", "selected"}
    assert (checkpoint_path(tmp_path, 2)).is_file()
    last = load_checkpoint(checkpoint_path(tmp_path, 4))
    assert torch.equal(last["state_dict"]["classifier.weight"], weights(built))
    assert last["best"] == {"epoch": 2, "mAP": 0.6}


def test_validation_follows_its_frequency_and_the_last_epoch(tmp_path):
    built = engine(validations=[0.1, 0.2, 0.3])
    built.run(tmp_path, max_epoch=5, eval_freq=2, start_eval=2)
    assert built.best["epoch"] == 5


def test_validation_at_the_end_only(tmp_path):
    built = engine(validations=[0.1])
    built.run(tmp_path, max_epoch=3, eval_freq=-1)
    assert built.best == {"epoch": 3, "mAP": 0.1}


def test_seconds_before_a_resume_count(tmp_path):
    engine().run(tmp_path, max_epoch=1)
    path = checkpoint_path(tmp_path, 1)
    save_checkpoint({**load_checkpoint(path), "seconds": 1000.0}, path)
    continued = engine()
    continued.run(tmp_path, max_epoch=2)
    assert 1000 < continued.seconds < 1060


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_spoiled(tmp_path):
    built = engine(poison=(1, 2))
    message = r"loss 'loss' is nan in epoch 2, batch 3 of 3, .*model.pth.tar-1; try a lower"
    with pytest.raises(FloatingPointError, match=message):
        built.run(tmp_path, max_epoch=3, checkpoint_freq=1)
    assert torch.isfinite(weights(built)).all()


def test_convolutions_of_both_kinds_are_taken():
    model = FrameMean()
    model.flat, model.deep = nn.Conv2d(2, 3, 1), nn.Conv3d(2, 3, 3)
    before = [parameter.clone() for parameter in model.parameters()]
    optimizer = torch.optim.Adam(model.parameters())
    ClipEngine(Manager(), model, optimizer, Criterion())
    assert model.flat.weight.stride() == (2, 1, 2, 2)
    assert all(map(torch.equal, before, model.parameters()))


def test_results_of_every_target_are_kept():
    built = engine()
    rank1 = built.test(dist_metric="cosine", ranks=[1, 20])
    assert rank1 == 1.0
    assert built.results.keys() == {"first", "second"}
    for target, results in built.results.items():
        queries = len(built.test_loader[target]["query"].dataset.tracklets)
        expected = {"mAP": 1.0, "cmc": {1: 1.0, 20: 1.0}, "average_precisions": [1.0] * queries}
        assert results == expected


def test_test_only_trains_nothing(tmp_path):
    built = engine()
    before = weights(built)
    results = built.run(tmp_path, max_epoch=3, test_only=True)
    assert results["last"].keys() == {"first", "second"}
    assert torch.equal(weights(built), before)
    assert list(tmp_path.iterdir()) == []


def test_steps_can_be_counted_instead_of_epochs(tmp_path):
    built = engine()
    built.run(str(tmp_path / "steps"), max_epoch=99, max_iter=7, checkpoint_freq=1)
    assert (built.step, built.epoch) == (7, 2)
    saved = sorted(path.name for path in (tmp_path / "steps" / "model").iterdir())
    assert saved == [f"model.pth.tar-{epoch}" for epoch in (1, 2, 3)]
    # Seven steps are two epochs of three and a step of the third.
    whole = engine()
    whole.run(str(tmp_path / "epochs"), max_epoch=2)
    before = weights(whole)
    assert not torch.equal(weights(built), before)
    resumed = engine()
    (tmp_path / "steps" / "model" / "model.pth.tar-3").unlink()
    resumed.run(str(tmp_path / "steps"), max_epoch=99, max_iter=7)
    assert torch.equal(weights(resumed), weights(built))
    again = engine()
    again.run(str(tmp_path / "steps"), max_epoch=99, max_iter=7)
    assert again.step == 7
    assert torch.equal(weights(again), weights(built))


@pytest.mark.parametrize("by", ["value", "norm"])
def test_gradients_are_clipped(by, tmp_path):
    built = engine(clip_grad=1e-3, clip_grad_by=by)
    built.run(str(tmp_path / by), max_epoch=1)
    gradients = torch.cat([p.grad.flatten() for p in built.model.parameters()])
    free = engine()
    free.run(str(tmp_path / "free"), max_epoch=1)
    unclipped = torch.cat([p.grad.flatten() for p in free.model.parameters()])
    largest = {"value": lambda g: g.abs().max(), "norm": torch.linalg.vector_norm}[by]
    assert largest(gradients) == pytest.approx(1e-3, rel=1e-3)
    assert largest(unclipped) > 1e-2


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
