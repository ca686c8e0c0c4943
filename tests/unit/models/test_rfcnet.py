import pytest
import torch
from torch import nn

from torchreid_occ.losses import build_criterion
from torchreid_occ.models import build_model

SMALL = {"backbone": "resnet18", "height": 64, "width": 32}


def small(**options):
    torch.manual_seed(0)
    return build_model("rfcnet", 4, **{**SMALL, **options})


def batch(num_frames=2, height=64, width=32):
    torch.manual_seed(1)
    return {
        "img": torch.randn(4, num_frames, 3, height, width),
        "pid": torch.tensor([0, 0, 1, 1]),
        "keypoints": torch.rand(4, num_frames, 4),
        "foreground": torch.rand(4, num_frames, 1, height, width),
    }


def step(model, data, **loss_options):
    losses = build_criterion("rfcnet", 4, **loss_options)(model(data["img"]), data)
    losses["loss"].backward()
    return losses


def wake(model):
    """Perturbs what starts at zero, without which nothing reaches the blocks and the common bias
    of frames' qualities.
    """
    for name, parameter in model.named_parameters():
        if name.endswith(("extend.1.weight", "box_head.weight", "quality.weight")):
            nn.init.normal_(parameter, std=0.1)
    return model


def freeze_statistics(model, clip):
    """Takes a clip's own statistics and keeps them: with batch statistics, a bias before a batch
    normalisation has no gradient.
    """
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(clip)
    for norm in norms:
        norm.eval()


ALL = {"keypoints", "foreground", "appearance", "position"}
SWITCHES = [
    ({}, ALL),
    ({"arrangement": "foreground", "stages": [2]}, {"foreground"}),
    ({"arrangement": "S", "assignment": "fixed"}, {"keypoints", "foreground"}),
    ({"arrangement": "S"}, ALL),
    ({"arrangement": "S", "assignment": "appearance"}, ALL - {"position"}),
    ({"arrangement": "S", "assignment": "position"}, ALL - {"appearance"}),
    ({"arrangement": "T"}, {"keypoints", "foreground"}),
    ({"arrangement": "T-S"}, ALL),
    ({"arrangement": "S+T"}, ALL),
    *[({"stages": [stage]}, ALL) for stage in (1, 2, 3, 4)],
    ({"partition": "fixed"}, ALL - {"keypoints"}),
    ({"partition": "fixed", "foreground": False}, {"appearance", "position"}),
    ({"partition": "stn"}, ALL - {"keypoints"}),
    *[({"num_regions": number}, ALL) for number in (3, 4, 5, 7, 8)],
    ({"partition": "stn", "num_regions": 4}, ALL - {"keypoints"}),
    ({"allow_empty": True}, ALL),
    ({"region_feature": "official", "position": "official_topleft"}, ALL),
    ({"scaled_attention": True, "gate": "channel"}, ALL),
    ({"projection": "paired", "initial_scale": [0.5, 1.0]}, ALL),
    ({"weigh_frames": True}, ALL),
    ({"last_stride": 2}, ALL),
]


@pytest.mark.parametrize(("options", "terms"), SWITCHES)
def test_gradient_reaches_every_parameter_of_every_variant(options, terms):
    model, data = wake(small(**options)), batch()
    freeze_statistics(model, data["img"])
    losses = step(model, data)
    assert losses.keys() == {"loss", "ce", "triplet", "acc"} | terms
    assert all(value.isfinite() for value in losses.values())
    for name, parameter in model.named_parameters():
        if "column_head" in name and len(parameter) == 1:
            continue  # a map of two columns leaves one class, which is always right
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_locator_learns_from_key_points_alone():
    model = wake(small()).train()
    step(model, batch(), lambda_keypoints=0)
    for block in model.blocks.values():
        assert all(parameter.grad is None for parameter in block.partition.parameters())


def test_a_new_rfcnet_is_the_baseline():
    model = small().eval()
    baseline = build_model("baseline", 4, **SMALL).eval()
    shared = {name: model.state_dict()[name] for name in baseline.state_dict()}
    baseline.load_state_dict(shared)
    clip = torch.randn(2, 3, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(model(clip), baseline(clip))


def test_weighed_frames_count_by_their_quality_as_in_qan():
    model = small(weigh_frames=True).eval()
    nn.init.normal_(model.quality.weight)
    qan = build_model("qan", 4, **SMALL).eval()
    qan.load_state_dict({name: model.state_dict()[name] for name in qan.state_dict()})
    clip = torch.randn(2, 3, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(model(clip), qan(clip))
        model.quality.weight.zero_()
        assert not torch.allclose(model(clip), qan(clip))


@pytest.mark.parametrize("num_frames", [1, 2, 3, 7])
def test_any_number_of_frames(num_frames):
    model, data = wake(small()), batch(num_frames)
    losses = step(model.train(), data)
    assert losses["loss"].isfinite()
    with torch.no_grad():
        assert model.eval()(data["img"]).shape == (4, 512)


def test_an_image_equals_a_clip_of_the_same_frame():
    model = wake(small()).eval()
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        repeated = model(images[:, None].expand(-1, 5, -1, -1, -1))
        torch.testing.assert_close(model(images), repeated, rtol=1e-4, atol=1e-4)


def test_clips_of_a_batch_do_not_see_each_other():
    model, clip = wake(small()).eval(), batch(3)["img"]
    with torch.no_grad():
        torch.testing.assert_close(model(clip)[1:2], model(clip[1:2]), rtol=1e-4, atol=1e-5)


def test_odd_frame_sizes():
    model = small(height=101, width=47, stages=[1, 2, 3, 4])
    outputs = model.train()(torch.randn(2, 2, 3, 101, 47))
    sizes = model.backbone.map_sizes(101, 47)
    assert [tuple(block.regions.masks.shape[-2:]) for block in outputs.blocks] == sizes
    for block in outputs.blocks:
        assert torch.equal(block.regions.masks.sum(1), torch.ones_like(block.regions.masks[:, 0]))


@pytest.mark.parametrize(
    ("backbone", "last_stride", "height", "width"),
    [("googlenet", 2, 64, 32), ("inception_v3", 2, 139, 75), ("resnet34", 1, 64, 32)],
)
def test_other_backbones(backbone, last_stride, height, width):
    options = {"backbone": backbone, "last_stride": last_stride, "height": height, "width": width}
    model = small(**options).train()
    assert step(model, batch(height=height, width=width))["loss"].isfinite()


def test_bfloat16_autocast_stays_finite():
    model, data = wake(small()), batch()
    with torch.autocast("cpu", torch.bfloat16):
        losses = step(model.train(), data)
    assert all(value.isfinite() for value in losses.values())
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_bfloat16_model_runs():
    model = wake(small()).bfloat16().eval()
    with torch.no_grad():
        features = model(batch()["img"].bfloat16())
    assert features.dtype == torch.bfloat16
    assert features.isfinite().all()


def test_saved_weights_give_the_same_features(tmp_path):
    model, clip = wake(small()).eval(), batch()["img"]
    torch.save(model.state_dict(), tmp_path / "model.pth")
    other = small().eval()
    other.load_state_dict(torch.load(tmp_path / "model.pth", weights_only=True))
    with torch.no_grad():
        assert torch.equal(model(clip), other(clip))


def test_frames_of_another_size_are_refused():
    with pytest.raises(ValueError, match="frames of 128x64, but the model was built for 64x32"):
        small()(torch.randn(1, 2, 3, 128, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": [2, 5]}, r"stages \[2, 5\], but expected .*\[1, 2, 3, 4\]"),
        ({"stages": [2, 2]}, r"stages \[2, 2\].* each once"),
        ({"stages": []}, r"stages \[\]"),
        ({"stages": 2}, "stages 2, but expected a list"),
        ({"arrangement": "SRFC"}, r'arrangement "SRFC".*S-T.*foreground'),
        ({"arrangement": "foreground", "foreground": False}, "foreground False, but arrangement"),
        ({"assignment": "none"}, r'assignment "none".*both'),
        ({"projection": "tied"}, r'projection "tied".*paired'),
        ({"initial_scale": [0.0, 0.5, 1.0]}, r'initial_scale .* "S-T" needs one number, or 2'),
        ({"backbone": "vgg16"}, r'backbone "vgg16".*resnet50'),
        ({"height": 32, "width": 16}, "feature map of 2x1, but body regions need at least 4x2"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
