import pytest
import torch

from torchreid_occ._torchreid import torchreid
from torchreid_occ.models import (
    MODELS,
    ClipModel,
    ClipOutput,
    build_model,
    list_models,
    torchreid_models,
)


class Mean(ClipModel):
    """Mean colours of a clip; the logits are twice that."""

    feature_dim = 3

    def forward_clip(self, clip):
        features = clip.mean((1, 3, 4))
        return ClipOutput(2 * features, features)


CLIP = torch.rand(2, 4, 3, 8, 6, generator=torch.Generator().manual_seed(0))


def test_the_output_depends_on_mode_and_loss():
    model, features = Mean(), CLIP.mean((1, 3, 4))
    assert torch.equal(model.eval()(CLIP), features)
    outputs = model.train()(CLIP)
    assert outputs._fields == ("logits", "features")
    model.torchreid_loss = "softmax"
    assert torch.equal(model(CLIP), outputs.logits)
    model.torchreid_loss = "triplet"
    assert all(map(torch.equal, model(CLIP), (2 * features, features)))
    assert torch.equal(model.eval()(CLIP), features)


def test_images_are_clips_of_one_frame():
    assert torch.equal(Mean().eval()(CLIP[:, 0]), CLIP[:, 0].mean((2, 3)))


@pytest.mark.parametrize("shape", [(3, 64, 32), (2, 0, 3, 64, 32), (2, 4, 1, 64, 32)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"Received a clip of shape .* expected \(B, T, 3, H, W\)"):
        Mean()(torch.rand(shape))


def test_a_clip_model_must_implement_forward_clip():
    with pytest.raises(NotImplementedError):
        ClipModel()(CLIP)


def test_a_model_does_not_carry_by_default():
    assert not Mean().carries
    with pytest.raises(NotImplementedError):
        Mean().extend(None, CLIP)
    with pytest.raises(NotImplementedError):
        Mean().finish(None)


def test_torchreid_asks_for_one_of_its_losses():
    with pytest.raises(ValueError, match=r'loss "center".*softmax.*triplet'):
        torchreid.models.build_model("baseline", 5, loss="center")


def test_names_of_models():
    with pytest.raises(KeyError, match=r"resnet50.*baseline.*rfcnet"):
        build_model("resnet50", 5)
    names = ["baseline", "qan", "rfcnet", "rru_stim", "trl_st2n", "vrstc"]
    assert list_models() == sorted(MODELS) == names
    assert "osnet_x1_0" in torchreid_models()
    assert not set(names) & set(torchreid_models())
