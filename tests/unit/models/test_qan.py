import pytest
import torch
from torch.nn.functional import linear

from torchreid_occ.models import build_model


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("qan", 5, backbone="resnet18_x0_5", height=64, width=32)


@pytest.fixture
def judging(model):
    """The model with frames told apart, not all of the same quality as at the start."""
    torch.nn.init.normal_(model.quality.weight, std=0.2)
    yield model
    torch.nn.init.zeros_(model.quality.weight)


def test_at_first_it_is_the_baseline(model):
    baseline = build_model("baseline", 5, backbone="resnet18_x0_5", height=64, width=32)
    baseline.load_state_dict(model.state_dict(), strict=False)
    clip = torch.rand(2, 3, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(clip), baseline.eval()(clip))


def test_features_are_the_mean_weighted_by_quality(judging):
    brightness = torch.tensor([0.2, 1.0, 3.0]).view(3, 1, 1, 1)
    clip = torch.rand(2, 3, 3, 64, 32) * brightness
    judging.eval()
    with torch.no_grad():
        middle = clip.flatten(0, 1)
        for stage in judging.backbone.stages[:3]:
            middle = stage(middle)
        scores = linear(middle.mean((2, 3)), judging.quality.weight, judging.quality.bias)
        quality = torch.sigmoid(scores).view(2, 3)
        frames = judging.backbone.stages[3](middle).mean((2, 3)).view(2, 3, -1)
        expected = torch.stack(
            [
                sum(q * f for q, f in zip(quality[i], frames[i], strict=True)) / quality[i].sum()
                for i in range(2)
            ]
        )
        torch.testing.assert_close(judging(clip), judging.neck(expected))
    assert quality.std(1).min() > 0.001  # else any weights would do


def test_one_frame_counts_whole_however_bad_it_is(judging):
    frame = torch.rand(2, 1, 3, 64, 32)
    judging.eval()
    with torch.no_grad():
        torch.testing.assert_close(judging(frame), judging(frame.expand(-1, 4, -1, -1, -1)))


def test_every_parameter_learns(judging):
    outputs = judging.train()(torch.rand(4, 2, 3, 64, 32))
    (outputs.logits.square().sum() + outputs.features[:, 0].sum()).backward()
    # Above rounding: of equal frames, the qualities' common bias would have no gradient at all.
    assert [name for name, p in judging.named_parameters() if not p.grad.abs().max() > 1e-5] == []
