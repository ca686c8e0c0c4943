"""Training by the clip engine: checkpoints, resume, selection, stops."""

import time
from itertools import combinations
from types import SimpleNamespace

import pytest
import torch
from small_engine import Criterion, FrameMean, Manager, engine
from torch import nn

from torchreid_occ.engine import ClipEngine
from torchreid_occ.utils.checkpoint import (
    checkpoint_epochs,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)


def weights(built):
    return built.model.classifier.weight.detach().clone()


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


def test_every_epoch_has_a_checkpoint_and_the_last_two_and_the_best_stay(tmp_path):
    built = engine(validations=[0.2, 0.6, 0.1, 0.3, 0.5])
    options = {"checkpoint_freq": 0, "eval_freq": 1, "keep_last": 2}
    built.run(tmp_path, max_epoch=5, **options)
    saved = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert saved == ["model.pth.tar-2", "model.pth.tar-4", "model.pth.tar-5"]
    kept = engine(validations=[0.1] * 7)
    kept.run(tmp_path / "kept", max_epoch=7, checkpoint_freq=3, eval_freq=1, keep_last=2)
    assert checkpoint_epochs(tmp_path / "kept") == [1, 3, 6, 7]


@pytest.mark.parametrize("killed_in", [2, 4])
def test_a_killed_run_is_resumed_an_epoch_back_at_most(tmp_path, killed_in):
    options = {"max_epoch": 5, "checkpoint_freq": 0, "keep_last": 2}
    whole = engine()
    whole.run(tmp_path / "whole", **options)
    killed = engine()
    draw = killed.datamanager.set_epoch
    killed.datamanager.set_epoch = lambda epoch: draw(epoch // (epoch + 1 != killed_in))
    with pytest.raises(ZeroDivisionError):
        killed.run(tmp_path / "killed", **options)
    assert checkpoint_epochs(tmp_path / "killed")[-1] == killed_in - 1
    continued = engine()
    continued.run(tmp_path / "killed", **options)
    assert torch.equal(weights(continued), weights(whole))
    assert checkpoint_epochs(tmp_path / "killed") == [4, 5]


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
    dropped = []

    def note(layer, _, output):
        if layer.training:
            dropped.append(output == 0)

    for seed in (1, 2):
        built = engine(seed=seed)
        built.model.dropout.register_forward_hook(note)
        built.run(tmp_path / str(seed), max_epoch=2)
    epochs = [torch.cat(dropped[start : start + 3]) for start in (0, 3, 6, 9)]  # of three batches
    assert not any(torch.equal(*pair) for pair in combinations(epochs, 2))


def test_the_best_validated_checkpoint_is_selected_and_the_last_weights_stay(tmp_path):
    built = engine(validations=[0.2, 0.6, 0.6, 0.1])
    tested, test = [], built.test

    def note(**options):
        tested.append(weights(built))
        return test(**options)

    built.test = note
    results = built.run(tmp_path, max_epoch=4, checkpoint_freq=100, eval_freq=1)
    assert built.best == {"epoch": 2, "mAP": 0.6}
    assert list(results) == ["last", "selected"]
    best = load_checkpoint(checkpoint_path(tmp_path, 2))["state_dict"]["classifier.weight"]
    assert all(map(torch.equal, tested, [weights(built), best]))
    last = load_checkpoint(checkpoint_path(tmp_path, 4))
    assert torch.equal(last["state_dict"]["classifier.weight"], weights(built))
    assert last["best"] == {"epoch": 2, "mAP": 0.6}


def test_a_resumed_run_keeps_the_best_checkpoint(tmp_path):
    engine(validations=[0.6]).run(tmp_path, max_epoch=1, eval_freq=1)
    continued = engine(validations=[0.3])
    assert "selected" in continued.run(tmp_path, max_epoch=2, eval_freq=1)
    assert continued.best == {"epoch": 1, "mAP": 0.6}


@pytest.mark.parametrize("metric, mean", [("cosine", 1.0), ("euclidean", 0.75), ("xqda", 0.75)])
def test_held_out_identities_are_ranked_by_the_distance_of_the_test(metric, mean):
    class HeldOut:
        """Two people in two cameras, one with three times the other's feature."""

        dataset = SimpleNamespace(
            tracklets=[((f"{n}",), n // 2, n % 2, 0) for n in range(4)], sequences=[*"0123"]
        )

        def __len__(self):
            return 1

        def __iter__(self):
            features = torch.tensor([[1.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 3, 0]])
            clips = features[:, None, :, None, None].expand(-1, 1, -1, 4, 2)
            yield {"img": clips, "tracklet": torch.arange(4), "num_frames": torch.ones(4).long()}

    built = engine(dist_metric=metric)
    assert built.validate() is None  # nobody is held out
    built.datamanager.val_loader = HeldOut()
    built.epoch = 0
    built.set_model_mode("train")
    assert built.validate() == mean


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


def test_seconds_of_training_alone_are_kept_over_a_resume(tmp_path):
    first = engine()
    first.run(tmp_path, max_epoch=1)
    path = checkpoint_path(tmp_path, 1)
    saved = load_checkpoint(path)
    assert saved["training_seconds"] == first.training_seconds
    assert 0 < first.training_seconds < first.seconds
    save_checkpoint({**saved, "training_seconds": 500.0, "seconds": 1000.0}, path)
    finished = engine()
    finished.run(tmp_path, max_epoch=1)  # only tests
    assert finished.training_seconds == 500.0
    continued = engine()
    continued.run(tmp_path, max_epoch=2)
    assert 500 < continued.training_seconds < 500 + continued.seconds - 1000


def test_a_checkpoint_without_seconds_of_training_is_continued(tmp_path):
    engine().run(tmp_path, max_epoch=1)
    path = checkpoint_path(tmp_path, 1)
    saved = load_checkpoint(path)
    del saved["training_seconds"]
    save_checkpoint({**saved, "seconds": 1000.0}, path)
    continued = engine()
    continued.run(tmp_path, max_epoch=2)
    assert 1000 < continued.training_seconds < continued.seconds


def test_the_frames_and_seconds_of_a_test_are_counted(tmp_path):
    built = engine(validations=[0.5, 0.1])
    start = time.perf_counter()
    built.run(tmp_path, max_epoch=2, eval_freq=1)
    # Four frames in each query and gallery of two targets, of the last test alone.
    assert built.inference.frames == 2 * 2 * 4
    assert 0 < built.inference.seconds < time.perf_counter() - start
    frames, seconds, *_ = built.inference
    assert built.inference.frames_per_second == frames / seconds


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


def test_schedulers_count_what_the_run_counts(tmp_path):
    rates = {}
    for name, length in {"epochs": {"max_epoch": 2}, "steps": {"max_iter": 5}}.items():
        built = engine()
        built.run(str(tmp_path / name), checkpoint_freq=1, **length)
        rates[name] = built.scheduler.last_epoch
        resumed = engine()
        resumed.run(str(tmp_path / name), checkpoint_freq=1, **length)
        assert resumed.scheduler.last_epoch == built.scheduler.last_epoch
    assert rates == {"epochs": 2, "steps": 5}  # epochs have three steps


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
