import pytest
import torch

from torchreid_occ.models.layers.trfc import TRFC


def features(batch=2, num_frames=3, seed=0):
    torch.manual_seed(seed)
    return torch.randn(batch * num_frames, 6, 8)


@pytest.mark.parametrize("gate", ["scalar", "channel"])
@pytest.mark.parametrize("scaled", [False, True])
def test_equations(gate, scaled):
    trfc = TRFC(8, scaled_attention=scaled, gate=gate)
    o = features()
    out = trfc(o, 3)
    scale = 8**-0.5 if scaled else 1
    clips = o.view(2, 3, 6, 8)
    for b, t, i in ((0, 0, 0), (1, 2, 5), (0, 1, 3)):
        query, others = clips[b, t, i], [k for k in range(3) if k != t]
        weights = torch.exp(scale * torch.stack([query @ clips[b, k, i] for k in others]))
        weights = weights / weights.sum()
        context = sum(w * clips[b, k, i] for w, k in zip(weights, others, strict=True))  # Eq. 10
        g = torch.sigmoid(trfc.gate.weight.relu() @ query + trfc.gate.bias)  # Eq. 11
        torch.testing.assert_close(out.attention[b, i, t, others], weights)
        torch.testing.assert_close(out.gate[b * 3 + t, i], g)
        torch.testing.assert_close(out.completed[b * 3 + t, i], g * query + (1 - g) * context)


def test_attention_has_a_zero_diagonal_and_rows_of_one():
    attention = TRFC(8)(features(), 3).attention
    assert attention.shape == (2, 6, 3, 3)
    assert torch.equal(attention.diagonal(dim1=2, dim2=3), torch.zeros(2, 6, 3))
    torch.testing.assert_close(attention.sum(3), torch.ones(2, 6, 3))


def test_identical_frames_stay_as_they_are():
    frame = features(2, 1)
    clip = frame.repeat_interleave(5, dim=0)
    out = TRFC(8)(clip, 5)
    torch.testing.assert_close(out.completed, clip)
    tracks = clip.view(2, 5, 6, 8).transpose(1, 2)
    torch.testing.assert_close(out.attention @ tracks, tracks)  # v = o


@pytest.mark.parametrize("gate", ["scalar", "channel"])
def test_the_gate_never_decreases_when_an_input_grows(gate):
    torch.manual_seed(0)
    trfc = TRFC(8, gate=gate)
    with torch.no_grad():  # also where training has pushed weights below zero
        trfc.gate.weight[:, ::2] *= -1
    o = features()
    before = trfc(o, 3).gate
    for coordinate in range(8):
        grown = o.clone()
        grown[:, :, coordinate] += 0.7
        assert (trfc(grown, 3).gate >= before).all()


def test_gate_weights_start_positive():
    assert (TRFC(64).gate.weight > 0).all()


def test_a_single_frame_has_no_memory_and_passes():
    o = features(4, 1)
    out = TRFC(8)(o, 1)
    assert out.completed is o
    assert out.gate is None and out.attention is None


def test_clips_do_not_see_each_other():
    trfc, o = TRFC(8), features()
    changed = o.clone()
    changed[3:] = 0
    assert torch.equal(trfc(changed, 3).completed[:3], trfc(o, 3).completed[:3])


def test_unknown_gate():
    with pytest.raises(ValueError, match=r'"vector".*scalar.*channel'):
        TRFC(8, gate="vector")


def test_a_lone_frame_of_an_exported_graph_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    frame = features(2, 1)
    out = TRFC(8)(frame, 1)
    torch.testing.assert_close(out.completed, frame)
    assert torch.equal(out.attention, torch.ones(2, 6, 1, 1))
