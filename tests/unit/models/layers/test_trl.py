import pytest
import torch

from torchreid_occ.models.layers.st2n import ST2N
from torchreid_occ.models.layers.trl import TRL


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_those_of_the_fidelity_sheet():
    with torch.device("meta"):
        assert parameters(TRL(1024)) == 12_599_296
        assert parameters(ST2N(832)) == 2_270_212
        assert parameters(ST2N(832, hidden=0)) == 693_252


def test_trl_weighs_generic_and_specific_features():
    torch.manual_seed(0)
    trl = TRL(6, hidden=4, alpha=0.3)
    features = torch.randn(2, 5, 6)
    outputs, _ = trl.generic(features)
    generic = outputs.mean(1)
    residuals = generic[:, None] - outputs
    torch.testing.assert_close(residuals.sum(1), torch.zeros(2, 8), atol=1e-6, rtol=0)
    specific = trl.specific(residuals)[0].mean(1)
    torch.testing.assert_close(trl(features), 0.3 * generic + 0.7 * specific)


def test_ends_of_alpha():
    torch.manual_seed(0)
    features = torch.randn(2, 5, 6)
    generic = TRL(6, hidden=4, alpha=1.0)
    assert generic.specific is None
    torch.testing.assert_close(generic(features), generic.generic(features)[0].mean(1))
    specific = TRL(6, hidden=4, alpha=0.0)
    outputs, _ = specific.generic(features)
    expected = specific.specific(outputs.mean(1, keepdim=True) - outputs)[0].mean(1)
    torch.testing.assert_close(specific(features), expected)
    one_way = TRL(6, hidden=4, bidirectional=False)
    assert one_way(features).shape == (2, one_way.feature_dim) == (2, 4)
    with pytest.raises(ValueError, match=r"alpha 1\.5"):
        TRL(6, alpha=1.5)


def test_one_frame_has_no_residual():
    trl = TRL(6, hidden=4)
    outputs, _ = trl.generic(torch.randn(2, 1, 6))
    assert torch.equal(outputs.mean(1, keepdim=True) - outputs, torch.zeros(2, 1, 8))


def test_lstms_start_orthogonal():
    weight = TRL(6, hidden=8).generic.weight_hh_l0
    for gate in weight.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    high = torch.randn(2, 3, 5, 6, 4, generator=generator)
    low = torch.rand(2, 3, 4, 12, 8, generator=generator)
    return high, low


@pytest.mark.parametrize("hidden", [4, 0])
@pytest.mark.parametrize("align_corners", [True, False])
def test_st2n_starts_as_the_identity(hidden, align_corners, maps):
    high, low = maps
    st2n = ST2N(5, hidden, align_corners=align_corners)
    aligned, theta = st2n(high, low)
    torch.testing.assert_close(aligned, low, atol=3e-5, rtol=0)
    assert torch.equal(theta, torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(2, 3, 4))


def test_scale_and_shift_go_where_they_say(maps):
    _, low = maps
    st2n = ST2N(5)
    # One pixel of twelve rows between the centers of the first and the last is 2 / 11.
    theta = torch.tensor([1.0, 1.0, 0.0, 2 / 11]).expand(2, 3, 4)
    aligned = st2n.align(low, theta)
    torch.testing.assert_close(aligned[..., :-1, :], low[..., 1:, :], atol=1e-5, rtol=0)
    torch.testing.assert_close(aligned[..., -1, :], torch.zeros(2, 3, 4, 8), atol=1e-5, rtol=0)
    mirrored = st2n.align(low, torch.tensor([-1.0, 1.0, 0.0, 0.0]).expand(2, 3, 4))
    torch.testing.assert_close(mirrored, low.flip(-1), atol=1e-5, rtol=0)


def test_no_scale_at_all_gives_the_middle_and_finite_gradients(maps):
    _, low = maps
    theta = torch.zeros(2, 3, 4, requires_grad=True)
    aligned = ST2N(5).align(low, theta)
    middle = low[..., 5:7, 3:5].mean((3, 4), keepdim=True)
    torch.testing.assert_close(aligned, middle.expand_as(low))
    aligned.sum().backward()
    assert theta.grad.isfinite().all()


def test_theta_is_equations_1_to_4(maps):
    high, low = maps
    st2n = ST2N(5, hidden=4).eval()
    torch.nn.init.normal_(st2n.theta.weight)
    squeezed = [st2n.localise(frame).mean((2, 3)) for frame in high.unbind(1)]
    passes = []
    for suffix, frames in (("", squeezed), ("_reverse", squeezed[::-1])):
        cell = torch.nn.LSTMCell(512, 4)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(cell, name).data = getattr(st2n.context, f"{name}_l0{suffix}").data
        state, outputs = None, []
        for frame in frames:
            state = cell(frame, state)
            outputs.append(state[0])
        passes.append(outputs)
    forward, backward = passes[0], passes[1][::-1]
    for t, context in enumerate(zip(forward, backward, strict=True)):
        expected = st2n.theta(torch.cat(context, dim=1))
        torch.testing.assert_close(st2n(high, low)[1][:, t], expected)


def test_context_reaches_other_frames(maps):
    high, low = maps
    st2n = ST2N(5, hidden=4).eval()
    torch.nn.init.normal_(st2n.theta.weight)
    other = high.clone()
    other[:, 0] += 1
    thetas = [st2n(part, low)[1] for part in (high, other)]
    assert not torch.allclose(thetas[0][:, 2], thetas[1][:, 2])
    alone = ST2N(5, hidden=0).eval()
    torch.nn.init.normal_(alone.theta.weight)
    thetas = [alone(part, low)[1] for part in (high, other)]
    torch.testing.assert_close(thetas[0][:, 1:], thetas[1][:, 1:])


def test_gradient_reaches_every_parameter(maps):
    high, low = maps
    st2n, trl = ST2N(5, hidden=4), TRL(4, hidden=3)
    torch.nn.init.normal_(st2n.theta.weight, std=0.1)
    aligned, _ = st2n(high, low)
    trl(aligned.mean((3, 4))).square().sum().backward()
    named = [*st2n.named_parameters(), *trl.named_parameters()]
    without = [name for name, p in named if p.grad is None or not p.grad.any()]
    # A batch normalisation takes out what a bias before it adds.
    assert all(name in ("localise.0.bias", "localise.4.bias") for name in without)
