import pytest
import torch

from torchreid_occ.losses import build_criterion
from torchreid_occ.models import build_model

SMALL = {"backbone": "resnet18_x0_5", "height": 64, "width": 32, "auxiliary": "none"}
PIDS = torch.tensor([0, 0, 1, 1])


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture
def clip():
    return torch.rand(4, 3, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def test_parameters_are_those_of_the_fidelity_sheet():
    with torch.device("meta"):
        model = build_model("rru_stim", 5, height=299, width=299)
        maps = model.backbone(torch.empty(1, 3, 299, 299))
    assert maps.shape == (1, 2048, 8, 8)
    assert parameters(model.backbone) == 21_785_568
    assert parameters(model.rru) == 1_589_760
    assert parameters(model.integration) == 2_294_784


ROWS = [
    # model options, criterion options: the rows of Table 1
    ({"rru": False, "integration": "average"}, {"video": False, "parts": False}),
    ({"rru": False, "integration": "average"}, {"parts": False}),
    ({"rru": False, "integration": "lstm"}, {"parts": False}),
    ({"rru": False}, {"parts": False}),
    ({"attention": "spatial", "integration": "average"}, {"parts": False}),
    ({"attention": "channel", "integration": "average"}, {"parts": False}),
    ({"inputs": "appearance", "integration": "average"}, {"parts": False}),
    ({"inputs": "original", "integration": "average"}, {"parts": False}),
    ({"integration": "average"}, {"parts": False}),
    ({"integration": "lstm"}, {"parts": False}),
    ({}, {"parts": False}),
    ({}, {}),
]


@pytest.mark.parametrize(("options", "loss"), ROWS)
def test_gradient_reaches_every_parameter_of_each_row(options, loss, clip):
    model = build_model("rru_stim", 2, **options, **SMALL)
    criterion = build_criterion("rru_stim", 2, **loss)
    losses = criterion(model(clip), {"pid": PIDS})
    terms = {"video", "parts"} - {name for name, is_on in loss.items() if not is_on}
    assert losses.keys() == {"loss", "ce", "acc"} | terms
    losses["loss"].backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # A batch normalisation takes out what a bias before it adds.
    assert without in ([], ["classifier.0.bias"])
    features = model.eval()(clip)
    assert features.shape == (4, model.feature_dim)


@pytest.mark.parametrize("auxiliary", ["mean", "frame"])
def test_auxiliary_head(auxiliary):
    options = {"backbone": "inception_v3", "height": 107, "width": 107}
    model = build_model("rru_stim", 3, **options, auxiliary=auxiliary, rru=False)
    # The head needs maps of at least 5 units: it is tried where it stands, on such.
    maps = torch.rand(4, 768, 17, 17)
    logits = model.train()._auxiliary_logits(maps, 2)
    assert logits.shape == ((2, 3) if auxiliary == "mean" else (2, 2, 3))
    assert model.eval()._auxiliary_logits(maps, 2) is None


def test_terms_add_up(clip):
    model = build_model("rru_stim", 2, **SMALL)
    criterion = build_criterion("rru_stim", 2, lambda_auxiliary=0.4)
    outputs = model(clip)._replace(auxiliary=torch.randn(4, 3, 2))
    losses = criterion(outputs, {"pid": PIDS})
    total = losses["ce"] + 0.4 * losses["auxiliary"] + losses["video"] + losses["parts"]
    torch.testing.assert_close(losses["loss"], total)
    frames = torch.nn.functional.cross_entropy(
        outputs.auxiliary.flatten(0, 1), PIDS.repeat_interleave(3)
    )
    torch.testing.assert_close(losses["auxiliary"], frames)
    rows = [criterion.triplet(outputs.refined[:, :, :, row].mean((1, 3)), PIDS) for row in range(2)]
    assert outputs.strips.shape == (4, 256, 2)
    torch.testing.assert_close(losses["parts"], sum(rows) / 2)
    with pytest.raises(ValueError, match="logits of 2 classes"):
        build_criterion("rru_stim", 3)(outputs, {"pid": PIDS})


def test_without_the_unit_maps_stay(clip):
    model = build_model("rru_stim", 2, rru=False, **SMALL)
    outputs = model(clip)
    assert torch.equal(outputs.raw, outputs.refined)
    refining = build_model("rru_stim", 2, **SMALL)(clip)
    assert torch.equal(refining.raw[:, 0], refining.refined[:, 0])
    assert not torch.equal(refining.raw, refining.refined)


@pytest.mark.parametrize("integration", ["stim", "lstm", "average"])
@pytest.mark.parametrize("rru", [True, False])
def test_tracklets_read_clip_by_clip_have_the_feature_of_the_whole(integration, rru):
    model = build_model("rru_stim", 2, integration=integration, rru=rru, **SMALL).eval()
    tracklet = torch.rand(2, 5, 3, 64, 32, generator=torch.Generator().manual_seed(1))
    state = None
    for clip in tracklet.split((2, 1, 2), dim=1):
        state = model.extend(state, clip)
    torch.testing.assert_close(model.finish(state), model(tracklet), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_any_number_of_frames(num_frames):
    model = build_model("rru_stim", 2, **SMALL).eval()
    assert model(torch.rand(1, num_frames, 3, 64, 32)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"integration": "max"}, "'stim', 'lstm', 'average'"),
        ({"auxiliary": "all"}, "'mean', 'frame', 'none'"),
        ({"activation": "elu"}, "'relu', 'leaky'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_model("rru_stim", 2, **{**SMALL, **options})
