"""How a clip model turns clips into features of tracklets."""

import numpy as np
import pytest
import torch
from small_engine import FrameMean, Loader

from torchreid_occ.data.clips import ConsecutiveClips
from torchreid_occ.data.loaders import every_frame_loader, in_order
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine.extraction import TrackletFeatures


def features(model, loader=None, **options):
    return TrackletFeatures(model.eval(), use_gpu=False, **options)(loader or Loader(), "test")


class LeftHalf(FrameMean):
    def forward(self, clips):
        return clips[..., :1].mean((1, 3, 4))


def test_flip_averages_the_mirror_image():
    frames = Loader().dataset.frames.mean((2, 3))
    expected = torch.stack([frames[:3].mean(0), frames[3]])
    torch.testing.assert_close(features(LeftHalf(), flip=True), expected)
    assert (features(LeftHalf()) - expected).abs().max() > 0.01


def test_features_may_be_trained_on():
    found = features(FrameMean())
    layer = torch.nn.Linear(3, 1)
    layer(found).sum().backward()  # what inference mode made can't be kept for a gradient
    assert torch.equal(layer.weight.grad[0], found.sum(0))


def test_a_compiled_model_runs_in_the_place_of_the_model(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model, dynamic: lambda clips: 2 * model(clips))
    plain, compiled = (features(FrameMean(), compiled=flag) for flag in (False, True))
    torch.testing.assert_close(compiled, 2 * plain)


@pytest.mark.slow
def test_a_compiled_model_gives_the_same_features():
    plain, compiled = (features(FrameMean(), flip=True, compiled=flag) for flag in (False, True))
    torch.testing.assert_close(compiled, plain)


def test_a_model_that_carries_its_state_cannot_be_compiled(monkeypatch):
    monkeypatch.setattr(FrameMean, "carries", True)
    with pytest.raises(ValueError, match=r"test\.compile is True, but FrameMean carries"):
        features(FrameMean(), compiled=True)


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
def test_models_that_carry_their_state_read_tracklets_in_order(flip, batch_size):
    rng = np.random.default_rng(0)
    tracklets = [rng.integers(0, 255, (n, 4, 2, 3), dtype=np.uint8) for n in (5, 3, 5, 1, 5)]
    clips = ConsecutiveClips(tracklets, 2, ClipTransform(4, 2, (), (0, 0, 0), (1, 1, 1)))
    loader = every_frame_loader(clips, batch_size, 0, False)
    found = features(Recurrent(), loader, flip=flip)
    for feature, frames in zip(found, tracklets, strict=True):
        places = torch.arange(1, len(frames) + 1.0)[:, None]
        expected = (places * torch.from_numpy(frames / 255).mean((1, 2))).sum(0)
        torch.testing.assert_close(feature, expected.float())
    assert max(len(batch["img"]) for batch in in_order(loader)) == batch_size
