from dataclasses import replace

import pytest
import torch
from clip_model_tester import CarryingTester
from small_backbone import SMALL_BACKBONE
from support import REPOSITORY
from torchvision.models.inception import InceptionAux

from torchreid_occ.config import load_config
from torchreid_occ.engine.optimizers import build_optimizer
from torchreid_occ.losses import build_criterion
from torchreid_occ.models import build_model
from torchreid_occ.models.backbones import BACKBONES, Origin
from torchreid_occ.models.backbones.weights import Published
from torchreid_occ.models.rru_stim import RruStimOutput

SMALL = {"backbone": SMALL_BACKBONE, "height": 64, "width": 32, "auxiliary": "none"}
PIDS = torch.tensor([0, 0, 1, 1])


class TestRruStim(CarryingTester):
    name = "rru_stim"
    criterion = "rru_stim"
    options = {"auxiliary": "none"}  # Inception's, for larger maps
    variants = [  # rows of Table 1
        {"rru": False, "integration": "average"},
        {"rru": False, "integration": "lstm"},
        {"rru": False},
        {"attention": "spatial", "integration": "average"},
        {"attention": "channel", "integration": "average"},
        {"inputs": "appearance", "integration": "average"},
        {"inputs": "original", "integration": "average"},
        {"integration": "average"},
        {"integration": "lstm"},
        {},
        {"skip_first": True, "activation": "leaky"},
    ]
    carrying = ({}, {"integration": "lstm"}, {"rru": False, "integration": "average"})


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


@pytest.mark.parametrize("auxiliary", ["mean", "frame"])
def test_auxiliary_head(auxiliary):
    options = {"backbone": "inception_v3", "height": 107, "width": 107}
    model = build_model("rru_stim", 3, **options, auxiliary=auxiliary, rru=False)
    # The head needs maps of at least 5 units: it is tried where it stands, on such.
    maps = torch.rand(4, 768, 17, 17)
    logits = model.train()._auxiliary_logits(maps, 2)
    assert logits.shape == ((2, 3) if auxiliary == "mean" else (2, 2, 3))
    assert model.eval()._auxiliary_logits(maps, 2) is None


def imagenet_auxiliary():
    """Weights of the names and shapes of the auxiliary head in torchvision's file."""
    head = InceptionAux(768, 1000)
    generator = torch.Generator().manual_seed(0)
    return {
        f"AuxLogits.{name}": torch.rand(value.shape, generator=generator)
        for name, value in head.state_dict().items()
        if not name.endswith("num_batches_tracked")  # the file is older than these
    }


def test_the_auxiliary_head_starts_from_inceptions_own(monkeypatch):
    weights = imagenet_auxiliary()
    network = BACKBONES["inception_v3"]
    trunk = network.build(False).state_dict()  # what it takes is tested with the backbones
    published = Published({**trunk, **weights}, Origin("torchvision", "file", None, None))
    monkeypatch.setitem(network.sources, "torchvision", lambda: published)
    drawn = replace(network, build=lambda _: network.build(True))  # the same draws in both models
    monkeypatch.setitem(BACKBONES, "inception_v3", drawn)
    options = {"height": 107, "width": 107, "rru": False, "integration": "average"}
    torch.manual_seed(1)
    new = build_model("rru_stim", 3, **options)
    torch.manual_seed(1)
    model = build_model("rru_stim", 3, pretrained=True, **options)
    found, fresh = model.auxiliary.state_dict(), new.auxiliary.state_dict()
    taken = {name for name in found if f"AuxLogits.{name}" in weights and name[:3] != "fc."}
    assert {name.split(".")[0] for name in taken} == {"conv0", "conv1"}
    for name in found:
        expected = weights[f"AuxLogits.{name}"] if name in taken else fresh[name]
        assert torch.equal(found[name], expected), name
    without = build_model("rru_stim", 3, pretrained=True, auxiliary="none", **options)
    assert without.auxiliary is None


def test_the_auxiliary_head_learns_at_the_rate_of_pretrained_layers_but_for_its_last():
    config = load_config(REPOSITORY / "configs/rru_stim.yaml")
    with torch.device("meta"):
        model = build_model("rru_stim", 3, height=107, width=107)
    optimizer = build_optimizer(config, model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rate = {
        names[id(parameter)]: group["lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert rate.keys() == set(names.values())
    assert {name for name in rate if name.startswith("auxiliary.") and rate[name] == 0.01} == {
        "auxiliary.fc.weight",
        "auxiliary.fc.bias",
    }
    assert rate["auxiliary.conv0.conv.weight"] == pytest.approx(0.001)
    assert rate["backbone.stages.0.Conv2d_1a_3x3.conv.weight"] == pytest.approx(0.001)
    assert rate["classifier.4.weight"] == rate["rru.spatial.0.weight"] == 0.01


def test_the_classifier_is_drawn_as_released():
    torch.manual_seed(0)
    plain = build_model("rru_stim", 500, **SMALL)
    torch.manual_seed(0)
    model = build_model("rru_stim", 500, initial_classifier="released", **SMALL)
    hidden, last = model.classifier[0], model.classifier[4]
    assert last.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert hidden.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.05)  # fan-out
    assert not hidden.bias.any()
    assert not last.bias.any()
    changed = {
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, plain.state_dict()[name])
    }
    assert changed == {f"classifier.{n}.{part}" for n in (0, 4) for part in ("weight", "bias")}
    for name, options in (("baseline", {}), ("rfcnet", {"height": 64, "width": 32})):
        options |= {"backbone": SMALL_BACKBONE, "initial_classifier": "released"}
        classifier = build_model(name, 500, **options).classifier
        assert classifier.weight.std().item() == pytest.approx(0.001, rel=0.05)
        assert not classifier.bias.any()


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
    assert outputs.strips.shape == (4, model.backbone.channels[-1], 2)
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


@pytest.mark.parametrize(
    "options", [{}, {"parts": False}, {"video": False}, {"video": False, "parts": False}]
)
def test_terms_can_be_left_out(options):
    outputs = RruStimOutput(
        torch.rand(4, 2), torch.rand(4, 5), None, torch.rand(4, 5, 3), *[None] * 2
    )
    losses = build_criterion("rru_stim", 2, **options)(outputs, {"pid": PIDS})
    assert losses.keys() == {"loss", "acc", "ce", "video", "parts"} - options.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"integration": "max"}, "'stim', 'lstm', 'average'"),
        ({"auxiliary": "all"}, "'mean', 'frame', 'none'"),
        ({"activation": "elu"}, "'relu', 'leaky'"),
        ({"initial_classifier": "zero"}, "'pytorch', 'released'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_model("rru_stim", 2, **{**SMALL, **options})
