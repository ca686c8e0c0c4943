import pytest
import torch
from clip_model_tester import ClipModelTester
from small_backbone import SMALL_BACKBONE
from support import training_batch
from torch import nn

from torchreid_occ.losses import build_criterion
from torchreid_occ.models import build_model

SMALL = {"backbone": SMALL_BACKBONE, "height": 64, "width": 32}
PARTS = ("weight", "bias")


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
    ({"stages": [1, 4]}, ALL),
    ({"partition": "fixed"}, ALL - {"keypoints"}),
    ({"partition": "fixed", "foreground": False}, {"appearance", "position"}),
    ({"partition": "stn"}, ALL - {"keypoints"}),
    ({"num_regions": 8}, ALL),
    ({"allow_empty": True}, ALL),
    ({"region_feature": "official", "position": "official_topleft"}, ALL),
    ({"scaled_attention": True, "gate": "channel"}, ALL),
    ({"projection": "paired", "initial_scale": [0.5, 1.0]}, ALL),
    ({"weigh_frames": True}, ALL),
    ({"last_stride": 2}, ALL),
]


class TestRfcnet(ClipModelTester):
    name = "rfcnet"
    criterion = "rfcnet"
    variants = [options for options, _ in SWITCHES]
    exported = {"stages": [3]}
    # Maps of two columns, from stage 3 on, leave one class, which is always right.
    constant = tuple(f"blocks.{s}.partition.column_head.{p}" for s in (3, 4) for p in PARTS)

    def check_losses(self, losses, variant):
        terms = next(terms for options, terms in SWITCHES if options == variant)
        assert losses.keys() == {"loss", "ce", "triplet", "acc"} | terms

    def test_the_locator_learns_from_key_points_alone(self):
        model = self.build().train()
        self.losses(model, self.batch(), lambda_keypoints=0)["loss"].backward()
        for block in model.blocks.values():
            assert all(parameter.grad is None for parameter in block.partition.parameters())

    @torch.no_grad()
    def test_an_image_equals_a_clip_of_the_same_frame(self):
        model, images = self.model.eval(), self.batch(1)["img"]
        repeated = model(images.expand(-1, 5, -1, -1, -1))
        torch.testing.assert_close(model(images), repeated, rtol=1e-4, atol=1e-4)


def small(**options):
    torch.manual_seed(0)
    return build_model("rfcnet", 4, **{**SMALL, **options})


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


def test_odd_frame_sizes():
    model = small(height=101, width=47, stages=[1, 2, 3, 4])
    outputs = model.train()(torch.randn(2, 2, 3, 101, 47))
    sizes = model.backbone.map_sizes(101, 47)
    assert [tuple(block.regions.masks.shape[-2:]) for block in outputs.blocks] == sizes
    for block in outputs.blocks:
        assert torch.equal(block.regions.masks.sum(1), torch.ones_like(block.regions.masks[:, 0]))


def test_another_backbone():
    model = small(backbone="googlenet", last_stride=2).train()
    batch = training_batch(4, 2, (64, 32), 4)
    losses = build_criterion("rfcnet", 4)(model(batch["img"]), batch)
    assert losses["loss"].isfinite()


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
