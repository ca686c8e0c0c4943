import pytest
import torch
from torch.nn import functional as F

from torchreid_occ.models.layers.rru import RRU
from torchreid_occ.models.layers.stim import STIM

SIZE = (6, 4, 3)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture
def maps():
    return torch.randn(2, 5, *SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def unit(**options):
    torch.manual_seed(1)
    return RRU(*SIZE, hidden=8, **options).double()


def by_the_book(rru, maps):
    """Eq. 1 to 5 step by step, on joined inputs."""
    previous, refined, results = maps[:, 0], maps[:, 0], []
    for t in range(maps.shape[1]):
        frame = maps[:, t]
        inputs = {
            "differences": (frame - refined, frame - previous),
            "appearance": (frame - refined,),
            "original": (frame, refined),
        }[rru.inputs]
        transition = torch.relu(rru.bn(rru.transition(torch.cat(inputs, dim=1))))
        gate = 1.0
        if rru.spatial is not None:
            gate = gate * rru.spatial(transition.mean(1).flatten(1)).view(-1, 1, *SIZE[1:])
        if rru.channel is not None:
            gate = gate * rru.channel(transition.mean((2, 3)))[..., None, None]
        gate = torch.sigmoid(gate).expand_as(frame)
        refined = (1 - gate) * refined + gate * frame
        results.append(refined)
        previous = frame
    return torch.stack(results, dim=1)


def test_parameters_are_those_of_the_fidelity_sheet():
    assert parameters(RRU(2048, 8, 8)) == 1_589_760
    assert parameters(STIM(2048)) == 2_294_784


@pytest.mark.parametrize("inputs", ["differences", "appearance", "original"])
@pytest.mark.parametrize("attention", ["both", "spatial", "channel"])
@pytest.mark.parametrize("training", [True, False])
def test_equals_the_plain_loop(inputs, attention, training, maps):
    first, second = (unit(inputs=inputs, attention=attention).train(training) for _ in range(2))
    found, _ = first(maps)
    torch.testing.assert_close(found, by_the_book(second, maps))
    torch.testing.assert_close(first.bn.running_mean, second.bn.running_mean)
    torch.testing.assert_close(first.bn.running_var, second.bn.running_var)


@pytest.mark.parametrize("cuts", [(2, 3), (1, 1, 3), (4, 1)])
def test_parts_of_a_sequence_give_what_the_whole_gives(cuts, maps):
    rru, stim = unit().eval(), STIM(SIZE[0], 7).double().eval()
    whole, _ = rru(maps)
    state, border, parts = None, None, []
    for part in maps.split(cuts, dim=1):
        refined, state = rru(part, state)
        border = stim.extend(border, refined)
        parts.append(refined)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    torch.testing.assert_close(stim.finish(border), stim(whole))


def test_one_frame_alone(maps):
    rru, stim = unit().eval(), STIM(SIZE[0], 7).double().eval()
    frame = maps[:, :1]
    assert torch.equal(rru(frame)[0], frame)
    torch.testing.assert_close(stim.finish(stim.extend(None, frame)), stim(frame))


@pytest.mark.parametrize("inputs", ["differences", "appearance", "original"])
def test_the_first_frame_and_constant_sequences_stay(inputs, maps):
    rru = unit(inputs=inputs)
    assert torch.equal(rru(maps)[0][:, 0], maps[:, 0])
    constant = maps[:, :1].expand_as(maps)
    assert torch.equal(rru(constant)[0], constant)


def test_refined_maps_stay_between_the_extremes_so_far(maps):
    refined, _ = unit()(maps)
    for t in range(maps.shape[1]):
        seen = maps[:, : t + 1]
        assert (refined[:, t] <= seen.amax(1) + 1e-12).all()
        assert (refined[:, t] >= seen.amin(1) - 1e-12).all()


@pytest.mark.parametrize(("bias", "kept"), [(100.0, "current"), (-100.0, "first")])
def test_open_and_closed_gates(bias, kept, maps, monkeypatch):
    rru = unit(attention="channel")
    monkeypatch.setattr(rru, "_gate", lambda x: torch.sigmoid(torch.full_like(x[:, :1], bias)))
    refined, _ = rru(maps)
    expected = maps if kept == "current" else maps[:, :1].expand_as(maps)
    torch.testing.assert_close(refined, expected)


def test_the_first_gate_can_be_left_out(maps):
    with_first, without = unit(), unit(skip_first=True)
    assert torch.equal(with_first(maps)[0][:, 0], without(maps)[0][:, 0])
    assert with_first.bn.num_batches_tracked == 5
    assert without.bn.num_batches_tracked == 4


def test_gradient_reaches_every_parameter_and_every_frame(maps):
    maps = maps.requires_grad_()
    rru, stim = unit(), STIM(SIZE[0], 7).double()
    stim(rru(maps)[0]).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for module in (rru, stim) for p in module.parameters())
    assert (maps.grad.flatten(2).abs().sum(2) > 0).all()


def test_stim_is_two_convolutions_and_a_mean(maps):
    stim = STIM(SIZE[0], 7).double().eval()
    reduced = F.relu(stim.reduce[1](F.conv3d(maps.transpose(1, 2), stim.reduce[0].weight)))
    weight = stim.integrate[0].weight
    outputs = F.relu(stim.integrate[1](F.conv3d(reduced, weight, padding=1)))
    torch.testing.assert_close(stim(maps), outputs.mean((2, 3, 4)))


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4])
def test_stim_learns_from_short_clips_in_half_precision(num_frames, maps):
    torch.manual_seed(1)
    stim, gradients = STIM(SIZE[0], 64).eval(), []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            feature = stim(maps[:, :num_frames].float())
        feature.float().square().sum().backward()
        gradients.append(stim.integrate[0].weight.grad)
        stim.zero_grad()
    full, half = gradients
    assert (half - full).norm() < 0.05 * full.norm()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"attention": "all"}, "'both', 'spatial'"), ({"inputs": "all"}, "'differences'")],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        unit(**options)


def test_maps_of_other_sizes_are_refused(maps):
    with pytest.raises(ValueError, match=r"built for \(B, T, 6, 4, 3\) with T >= 1"):
        unit()(maps[..., :2])
    with pytest.raises(ValueError, match=r"\(2, 0, 6, 4, 3\)"):
        unit()(maps[:, :0])
