import pytest
import torch
from torch import nn

from torchreid_occ.completion.discriminator import Discriminator
from torchreid_occ.completion.network import KINDS, Encoder, STCnet

SIZE = (2, 3, 32, 16)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    frame, previous, following = 2 * torch.rand(3, *SIZE, generator=generator) - 1
    mask = torch.zeros(SIZE[0], 1, *SIZE[2:])
    mask[:, :, 10:21] = 1
    return frame, mask, previous, following


def test_parameters_are_those_of_the_fidelity_sheet():
    assert parameters(Encoder()) == 3_468_800
    assert parameters(STCnet("spatial")) == 3_999_363
    assert parameters(STCnet().temporal) == 11_985_539
    assert parameters(Discriminator()) == 6_271_617


def test_a_quarter_of_the_size_inside():
    with torch.device("meta"):
        frame = torch.empty(1, 3, 128, 64)
        encoder, spatial = Encoder(), STCnet("spatial").spatial
    assert encoder(frame).shape == (1, 256, 32, 16)
    assert spatial(frame).shape == frame.shape


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_masked_stays(kind, inputs):
    frame, mask, *_ = inputs
    completion = STCnet(kind, width=4)(*inputs)
    assert (completion.temporal is None) == (kind == "spatial")
    assert completion.final is completion[kind != "spatial"]
    for part in completion:
        if part is not None:
            assert torch.equal((1 - mask) * part, (1 - mask) * frame)
            assert not torch.equal(part, frame)


def test_what_differs_between_frames_reaches_the_last_map():
    torch.manual_seed(0)
    frames = 2 * torch.rand(8, 3, 64, 32) - 1
    encoder = STCnet("spatial", width=16).spatial[0]
    assert encoder(frames).std(0).mean() > 0.2 * frames.std(0).mean()


@pytest.mark.parametrize("fill", ["zero", "white"])
@pytest.mark.parametrize("mask_channel", [False, True])
def test_what_is_masked_is_not_read(fill, mask_channel, inputs):
    frame, mask, *neighbours = inputs
    net = STCnet(width=4, fill=fill, mask_channel=mask_channel)
    other = torch.where(mask.bool(), torch.rand_like(frame), frame)
    found, expected = net(other, mask, *neighbours), net(frame, mask, *neighbours)
    torch.testing.assert_close(found.final, expected.final)


def test_fill_and_mask_channel_reach_the_generator(inputs):
    frame, mask, *_ = inputs
    seen = {}
    for fill in ("zero", "white"):
        net = STCnet("spatial", width=4, fill=fill, mask_channel=True)
        net.spatial.register_forward_pre_hook(lambda _, args, fill=fill: seen.update({fill: args}))
        net(*inputs)
    for fill, value in (("zero", 0.0), ("white", 1.0)):
        (shown,) = seen[fill]
        assert torch.equal(shown[:, :3], torch.where(mask.bool(), value, frame))
        assert torch.equal(shown[:, 3:], mask)


@pytest.mark.parametrize("kind", ["temporal", "temporal_autoencoder"])
def test_neighbours_are_read_by_the_temporal_generators(kind, inputs):
    frame, mask, previous, following = inputs
    net = STCnet(kind, width=4)
    expected = net(*inputs)
    for changed in ((following, following), (previous, previous)):
        found = net(frame, mask, *changed)
        assert torch.equal(found.spatial, expected.spatial)
        assert not torch.allclose(found.final, expected.final)


def test_the_autoencoder_reads_no_neighbours(inputs):
    frame, mask, previous, following = inputs
    net = STCnet("autoencoder", width=4)
    assert torch.equal(net(*inputs).final, net(frame, mask, following, previous).final)


def test_the_autoencoder_has_the_parameters_it_controls_for():
    with torch.device("meta"):
        wanted = parameters(STCnet().temporal)
        equal = parameters(STCnet("autoencoder").temporal)
        triple = parameters(STCnet("autoencoder", autoencoder="triple").temporal)
    assert equal == pytest.approx(wanted, rel=0.01)
    assert triple == 32_776_835


def test_scale_sharpens_the_attention(inputs):
    nets = [STCnet(width=4, scale=scale) for scale in (1.0, 10.0)]
    nets[1].load_state_dict(nets[0].state_dict())
    assert not torch.allclose(nets[0](*inputs).final, nets[1](*inputs).final)


@pytest.mark.parametrize("options", [{}, {"batch_norm": True, "deconv_kernel": 3}])
def test_gradient_reaches_every_parameter(options, inputs):
    net = STCnet(width=4, **options)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules()) == bool(options)
    net(*inputs).final.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_a_mask_over_everything_leaves_the_neighbours(inputs):
    frame, _, *neighbours = inputs
    completion = STCnet(width=4)(frame, torch.ones(SIZE[0], 1, *SIZE[2:]), *neighbours)
    assert completion.final.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "both"}, "'spatial', 'autoencoder'"),
        ({"fill": "grey"}, "'zero', 'white'"),
        ({"autoencoder": "double"}, "'equal', 'triple'"),
        ({"dilations": (2, 4)}, "four numbers"),
        ({"deconv_kernel": 5}, r"\[3, 4\]"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        STCnet(width=4, **options)


def test_frames_of_other_shapes_are_refused(inputs):
    frame, mask, previous, following = inputs
    net = STCnet(width=4)
    with pytest.raises(ValueError, match="multiples of 4"):
        net(frame[..., :15], mask, previous, following)
    with pytest.raises(ValueError, match="Received a mask"):
        net(frame, mask[..., :8], previous, following)
    with pytest.raises(ValueError, match="Received neighbours"):
        net(frame, mask, previous[..., :8], following)


@pytest.mark.parametrize("size", [(128, 64), (33, 15)])
def test_discriminators_take_any_size_they_were_built_for(size):
    net = Discriminator(*size, channels=(4,) * 6, batch_norm=True)
    logits = net(torch.randn(3, 3, *size))
    assert logits.shape == (3,)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
