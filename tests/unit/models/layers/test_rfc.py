import pytest
import torch
from torch import nn

from torchreid_occ.models.layers.foreground_mask import ForegroundMask
from torchreid_occ.models.layers.region_branch import RegionBranch, pool_regions, project_regions
from torchreid_occ.models.layers.rfc import ARRANGEMENTS, RFC
from torchreid_occ.models.layers.srfc import SRFC

CHANNELS, HEIGHT, WIDTH = 32, 8, 4


def block(**options):
    torch.manual_seed(0)
    return RFC(CHANNELS, HEIGHT, WIDTH, **options)


def awake(module):
    """Perturbs the zero-initialised scales, without which a block hides what it computes."""
    for branch in (module.spatial, module.temporal):
        if branch is not None:
            torch.nn.init.normal_(branch.extend[1].weight)
    return module.eval()


def maps(num_frames=3):
    torch.manual_seed(1)
    return torch.randn(2 * num_frames, CHANNELS, HEIGHT, WIDTH)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("partition", ["apu", "fixed", "stn"])
def test_a_new_block_is_the_identity(arrangement, partition):
    x = maps()
    completed, out = block(arrangement=arrangement, partition=partition)(x, 3)
    assert torch.equal(completed, x)
    assert (out.spatial is not None) == ("S" in arrangement)
    assert (out.temporal is not None) == ("T" in arrangement)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_arrangements(arrangement):
    module, x = awake(block(arrangement=arrangement)), maps()
    regions = module.partition(x)
    foreground = module.foreground(x).sigmoid()
    corner, size = regions.boxes.split(2, dim=2)
    positions = torch.cat((corner + size / 2, size), dim=2)

    def spatial(source):
        return module.spatial(source, regions.masks, foreground, positions)[0]

    def temporal(source):
        return module.temporal(source, regions.masks, foreground, 3)[0]

    expected = {
        "S": lambda: x + spatial(x),
        "T": lambda: x + temporal(x),
        "S-T": lambda: x + spatial(x) + temporal(x + spatial(x)),
        "T-S": lambda: x + temporal(x) + spatial(x + temporal(x)),
        "S+T": lambda: x + spatial(x) + temporal(x),
    }[arrangement]()
    torch.testing.assert_close(module(x, 3)[0], expected)
    assert (expected - x).abs().max() > 0.1


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_a_frame_alone_equals_the_frame_repeated(arrangement):
    module = awake(block(arrangement=arrangement))
    frame = maps(1)[:1]
    alone = module(frame, 1)[0]
    repeated = module(frame.repeat(4, 1, 1, 1), 4)[0]
    torch.testing.assert_close(repeated, alone.repeat(4, 1, 1, 1), atol=1e-5, rtol=1e-5)


def test_pooling_is_equation_2():
    x, masks, foreground = torch.randn(2, 5, 4, 3), torch.rand(2, 6, 4, 3), torch.rand(2, 1, 4, 3)
    masks = (masks > 0.5).float()
    pooled = pool_regions(x, masks, foreground)
    weight = masks[1, 4] * foreground[1, 0]
    torch.testing.assert_close(pooled[1, 4], (weight * x[1]).sum((1, 2)) / weight.sum())
    plain = pool_regions(x, masks)
    torch.testing.assert_close(plain[0, 2], x[0][:, masks[0, 2].bool()].mean(1))


def test_an_empty_region_has_a_zero_feature_and_a_finite_gradient():
    x = torch.randn(1, 5, 4, 3, requires_grad=True)
    masks = torch.zeros(1, 2, 4, 3)
    masks[:, 0] = 1
    pooled = pool_regions(x, masks, torch.rand(1, 1, 4, 3))
    assert torch.equal(pooled[0, 1], torch.zeros(5))
    torch.nn.functional.normalize(pooled, dim=2).sum().backward()
    assert x.grad.isfinite().all()


def test_projection_writes_each_regions_feature():
    masks = torch.zeros(1, 2, 2, 2)
    masks[0, 0, 0], masks[0, 1, 1] = 1, 1
    projected = project_regions(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), masks)
    assert projected[0].tolist() == [[[1, 1], [3, 3]], [[2, 2], [4, 4]]]


def test_official_region_features_barely_see_the_foreground():
    torch.manual_seed(0)
    x, foreground = maps(1), torch.rand(2, 1, HEIGHT, WIDTH)
    regions = block(partition="fixed").partition(x)
    branch = RegionBranch(CHANNELS, SRFC(CHANNELS // 2), "official").eval()
    initial = branch(x, regions.masks, foreground, regions.boxes)[1].initial
    scaled = x * (1 + foreground / foreground.sum((2, 3), keepdim=True))
    torch.testing.assert_close(initial, pool_regions(branch.reduce(scaled), regions.masks))


def test_masked_region_features_shrink_with_what_is_hidden():
    torch.manual_seed(0)
    x = maps(1)
    regions = block(partition="fixed").partition(x)
    branch = RegionBranch(CHANNELS, SRFC(CHANNELS // 2), "masked").eval()
    plain = pool_regions(branch.reduce(x), regions.masks)
    for share in (1.0, 0.25, 0.0):
        foreground = torch.full((2, 1, HEIGHT, WIDTH), share)
        initial = branch(x, regions.masks, foreground, regions.boxes)[1].initial
        torch.testing.assert_close(initial, share * plain)


def test_initial_scale_is_that_of_the_residual():
    x = maps()
    completed, _ = block(initial_scale=1.0).train()(x, 3)
    added = completed - x
    # Two branches, each normalised over frames and units to a variance of one.
    spread = added.var((0, 2, 3), correction=0)
    assert ((spread > 0.5) & (spread < 4)).all()


@pytest.mark.parametrize("arrangement", ["S-T", "T-S", "S+T"])
def test_each_module_has_an_initial_scale(arrangement):
    by_letter = dict(zip(arrangement[::2], (0.0, 1.0), strict=True))
    module = block(arrangement=arrangement, initial_scale=(0.0, 1.0))
    for branch, letter in ((module.spatial, "S"), (module.temporal, "T")):
        assert (branch.extend[1].weight == by_letter[letter]).all()


def test_paired_projections_give_each_channel_the_mean_of_its_pair():
    torch.manual_seed(0)
    x = maps(1).abs()
    branch = RegionBranch(CHANNELS, nn.Identity(), projection="paired")
    pairs = x.unflatten(1, (-1, 2)).mean(2).repeat_interleave(2, dim=1)
    torch.testing.assert_close(branch.extend[0](branch.reduce(x)), pairs)
    with pytest.raises(ValueError, match='Received projection "tied"'):
        RegionBranch(CHANNELS, nn.Identity(), projection="tied")


def test_without_foreground_region_features_are_plain_means():
    module, x = block(foreground=False).eval(), maps()
    assert module.foreground is None
    out = module(x, 3)[1]
    assert out.foreground_logits is None
    expected = pool_regions(module.spatial.reduce(x), out.regions.masks)
    torch.testing.assert_close(out.spatial.initial, expected)


def test_foreground_mask_alone():
    module, x = ForegroundMask(CHANNELS).eval(), maps()
    masked, out = module(x, 3)
    torch.testing.assert_close(masked, x * out.foreground_logits.sigmoid())
    assert out.regions is None and out.spatial is None and out.temporal is None


@pytest.mark.parametrize("num_regions", range(3, 9))
@pytest.mark.parametrize("partition", ["apu", "fixed", "stn"])
def test_region_numbers(partition, num_regions):
    out = block(partition=partition, num_regions=num_regions)(maps(), 3)[1]
    assert out.regions.masks.shape == (6, num_regions, HEIGHT, WIDTH)
    assert out.temporal.gate.shape == (6, num_regions, 1)


def test_position_options():
    x = maps()
    out = block(partition="fixed")(x, 3)[1]
    torch.testing.assert_close(out.spatial.positions[0, 0], torch.tensor([0.125, 0.5, 0.25, 1]))
    out = block(partition="fixed", position="official_topleft")(x, 3)[1]
    assert torch.equal(out.spatial.positions, out.regions.boxes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arrangement": "T+S"}, r'arrangement "T\+S".*S-T'),
        ({"partition": "grid"}, r'partition "grid".*apu.*fixed.*stn'),
        ({"partition": "fixed", "allow_empty": True}, r'allow_empty with partition "fixed"'),
        ({"region_feature": "max"}, r'region_feature "max".*paper.*official'),
        ({"position": "corner"}, r'position "corner".*center.*official_topleft'),
        ({"num_regions": 2}, r"num_regions 2.*\[3, 4, 5, 6, 7, 8\]"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(ValueError, match=message):
        block(**options)
