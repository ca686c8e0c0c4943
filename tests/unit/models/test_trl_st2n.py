import pytest
import torch
from clip_model_tester import ClipModelTester
from small_backbone import SMALL_BACKBONE

from torchreid_occ.models import build_model

SMALL = {"backbone": SMALL_BACKBONE, "hidden": 8}


class TestTrlSt2n(ClipModelTester):
    name = "trl_st2n"
    criterion = "trl_st2n"
    options = {"hidden": 8}
    exported = {"alignment": "none"}
    variants = [  # rows of Table I
        {},
        {"alpha": 1.0},
        {"alpha": 0.0},
        {"alignment": "stn"},
        {"alignment": "none"},
        {"alignment": "none", "bidirectional": False},
        {"level": "frame"},
        {"frozen_statistics": True, "align_corners": False},
    ]


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture
def clip():
    return torch.rand(2, 3, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def test_parameters_are_those_of_the_fidelity_sheet():
    with torch.device("meta"):
        model = build_model("trl_st2n", 5)
    assert parameters(model) - parameters(model.classifiers) == 38_543_876
    assert parameters(model.stem) == 124_736
    for stream in model.streams:
        assert [parameters(stage) for stage in stream] == [496_096, 2_653_088, 2_325_984]
    assert [parameters(trl) for trl in model.trls] == [12_599_296] * 2
    assert parameters(model.alignment) == 2_270_212


def test_streams_start_alike_and_do_not_share(clip):
    model = build_model("trl_st2n", 5, **SMALL)
    pairs = zip(model.streams[0].parameters(), model.streams[1].parameters(), strict=True)
    for one, other in pairs:
        assert torch.equal(one, other)
        assert one is not other


@pytest.mark.parametrize("std", [0.1, 0.01])
def test_new_layers_are_drawn_as_printed_and_theta_is_not(std):
    model = build_model("trl_st2n", 50, initial_std=std, **SMALL)
    convolutions = [layer for layer in model.alignment.localise if hasattr(layer, "kernel_size")]
    drawn = [model.classifiers[0], *(c for c in convolutions if hasattr(c, "weight"))]
    assert len(drawn) == 3
    for layer in drawn:
        assert layer.weight.std().item() == pytest.approx(std, rel=0.15)
    assert not model.alignment.theta.weight.any()


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_statistics_are_those_of_the_start(frozen, clip):
    model = build_model("trl_st2n", 5, frozen_statistics=frozen, **SMALL)
    parts = (model.stem, *model.streams)
    before = [buffer.clone() for part in parts for buffer in part.buffers()]
    model.train()
    model(clip)
    after = [buffer for part in parts for buffer in part.buffers()]
    assert all(map(torch.equal, before, after)) == frozen
    assert model.training and all(layer.training for layer in model.alignment.localise)


def test_features_are_fused_by_norm(clip):
    model = build_model("trl_st2n", 5, **SMALL).eval()
    for beta, length in ((0.5, 0.5**0.5), (0.0, 1.0), (0.8, (0.64 + 0.04) ** 0.5)):
        model.beta = beta
        features = model(clip)
        assert features.shape == (2, model.feature_dim) == (2, 32)
        torch.testing.assert_close(features.norm(dim=1), torch.full((2,), length))
        halves = features.chunk(2, dim=1)
        torch.testing.assert_close(halves[0].norm(dim=1), torch.full((2,), beta))


@pytest.mark.parametrize("alignment", ["st2n", "stn", "none"])
def test_rows_of_table_1(alignment, clip):
    model = build_model("trl_st2n", 5, alignment=alignment, **SMALL)
    outputs = model(clip)
    has_alignment = alignment != "none"
    assert outputs.logits.shape == (2, 5)
    assert (outputs.aligned_logits is not None) == (outputs.theta is not None) == has_alignment
    assert len(model.classifiers) == len(model.streams) == len(model.trls) == 1 + has_alignment
    assert (alignment != "st2n") == (not has_alignment or model.alignment.context is None)


def test_the_first_stage_classifies_frames(clip):
    model = build_model("trl_st2n", 5, level="frame", **SMALL)
    outputs = model(clip)
    assert model.trls is None
    assert outputs.logits.shape == outputs.aligned_logits.shape == (2, 3, 5)
    model.eval()
    alone = torch.stack([model.forward_clip(clip[:, t : t + 1]).logits for t in range(3)], dim=1)
    torch.testing.assert_close(alone[:, :, 0], model.forward_clip(clip).logits)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "clip"}, "'sequence', 'frame'"),
        ({"alignment": "tps"}, "'st2n', 'stn', 'none'"),
        ({"beta": 2.0}, r"beta 2\.0"),
        ({"alpha": -1.0}, r"alpha -1\.0"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_model("trl_st2n", 5, **{**SMALL, **options})
