import pytest
import torch

from torchreid_occ.models import build_model
from torchreid_occ.utils.complexity import count_gmacs, count_parameters, seconds_per_clip


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model("baseline", 5, backbone="resnet18")


def test_multiply_adds_of_a_linear_layer_and_a_convolution():
    convolution, linear = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(16, 7)
    layers = torch.nn.Sequential(convolution, torch.nn.Flatten(), linear)
    clip = torch.zeros(1, 3, 4, 4)
    assert count_gmacs(layers, clip) == pytest.approx((4 * 4 * 27 + 16 * 7) / 1e9)


def test_neck_and_classifier_are_not_counted(model):
    # torchvision's resnet18 without its fc.
    assert count_parameters(model) == 11_176_512
    whole = count_parameters(model, without=())
    assert whole == 11_176_512 + 2 * 512 + 513 * 5


def test_measuring_leaves_the_model_and_the_random_state_as_they_were(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    seconds = seconds_per_clip(model.eval(), torch.zeros(1, 2, 3, 64, 32))
    assert 0 < seconds < 60
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
