import pytest
import torch

from torchreid_occ.models import MODELS, ClipModel, build_model

SMALL = {"backbone": "resnet18", "height": 64, "width": 32}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("baseline", 5, **SMALL)


def test_modified_resnet50_has_the_papers_size():
    model = build_model("baseline", 5)
    assert sum(parameter.numel() for parameter in model.backbone.parameters()) == 23_508_032
    assert model.backbone.map_sizes(256, 128)[-1] == (16, 8)
    assert model.feature_dim == 2048


def test_feature_is_the_normalised_mean_over_space_and_time(model):
    model.eval()
    clip = torch.rand(2, 3, 3, 64, 32)
    with torch.no_grad():
        maps = model.backbone(clip.flatten(0, 1)).view(2, 3, 512, 4, 2)
        expected = model.neck(maps.mean((1, 3, 4)))
        torch.testing.assert_close(model(clip), expected)


def test_an_image_is_a_clip_of_one_frame(model):
    model.eval()
    images = torch.rand(2, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(model(images), model(images[:, None]))


def test_outputs_by_mode(model):
    clip = torch.rand(2, 2, 3, 64, 32)
    model.eval()
    assert model(clip).shape == (2, 512)
    model.train()
    outputs = model(clip)
    assert outputs._fields == ("logits", "features")
    assert outputs.logits.shape == (2, 5)
    torch.testing.assert_close(outputs.logits, model.classifier(outputs.features))


def test_outputs_torchreid_expects(model):
    clip = torch.rand(2, 2, 3, 64, 32)
    model.train()
    try:
        model.torchreid_loss = "softmax"
        assert model(clip).shape == (2, 5)
        model.torchreid_loss = "triplet"
        logits, features = model(clip)
        assert logits.shape == (2, 5)
        assert features.shape == (2, 512)
        assert model.eval()(clip).shape == (2, 512)
    finally:
        model.torchreid_loss = None


@pytest.mark.parametrize("shape", [(3, 64, 32), (2, 0, 3, 64, 32), (2, 4, 1, 64, 32)])
def test_wrong_shapes_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"Received a clip of shape .* expected \(B, T, 3, H, W\)"):
        model(torch.rand(shape))


def test_a_clip_model_must_say_how_to_run_a_clip():
    with pytest.raises(NotImplementedError):
        ClipModel()(torch.rand(1, 1, 3, 8, 8))


def test_unknown_models_are_refused_with_the_known_ones():
    with pytest.raises(KeyError, match=r"resnet50.*baseline.*rfcnet"):
        build_model("resnet50", 5)
    assert sorted(MODELS) == ["baseline", "qan", "rfcnet", "rru_stim", "trl_st2n", "vrstc"]
