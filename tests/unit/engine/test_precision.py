from typing import NamedTuple

import pytest
import torch
from small_backbone import SMALL_BACKBONE
from support import REPOSITORY, training_batch
from torch import nn

from torchreid_occ.config import load_config, plain
from torchreid_occ.engine import ClipEngine
from torchreid_occ.engine.precision import Precision, full_precision
from torchreid_occ.losses import build_criterion
from torchreid_occ.runs.builders import backend_of

SIZE = (64, 32)
TINY = [
    *("model.pretrained", "False", "model.options.backbone", SMALL_BACKBONE),
    *("data.height", str(SIZE[0]), "data.width", str(SIZE[1]), "phases", "[]"),
]
SYSTEMS = {
    "baseline_resnet50": [],
    "rfcnet": [],
    "vrstc": ["model.name", "vrstc"],
    "rru_stim": ["model.options.auxiliary", "none"],
    "trl_st2n": ["model.options.hidden", "8"],
}
IDENTITIES = 3


class Outputs(NamedTuple):
    maps: list
    named: dict
    absent: None


class Manager:
    train_loader, test_loader = [], {}


def losses_of(system, precision):
    torch.manual_seed(0)
    config = load_config(REPOSITORY / "configs" / f"{system}.yaml", TINY + SYSTEMS[system])
    model, _ = backend_of(config).build_model(IDENTITIES)
    criterion = build_criterion(config.loss.name, IDENTITIES, **plain(config.loss.options))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    engine = ClipEngine(Manager(), model, optimizer, criterion, precision=precision, use_gpu=False)
    engine.set_model_mode("train")
    batch = training_batch(6, 2, SIZE, IDENTITIES)
    numbers = engine.forward_backward(batch)
    assert all(value.dtype == torch.float32 for value in model.parameters())
    assert all(torch.isfinite(value).all() for value in model.parameters())
    return numbers


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_trains_in_half_precision(system):
    plain_losses, mixed = (losses_of(system, name) for name in ("float32", "bfloat16"))
    assert plain_losses != mixed
    for name, value in plain_losses.items():
        if name != "acc":
            # Over eight seeds, with AVX-512 and without, no loss differed by more than 8 %.
            assert mixed[name] == pytest.approx(value, rel=0.1, abs=0.02), name


def test_outputs_in_half_precision_become_float32():
    half = torch.ones(2, dtype=torch.bfloat16)
    index = torch.arange(2)
    found = full_precision(Outputs([half, half.double()], {"index": index, "half": half}, None))
    assert isinstance(found, Outputs)
    assert [part.dtype for part in found.maps] == [torch.float32, torch.float64]
    assert found.named["index"] is index
    assert found.named["half"].dtype == torch.float32
    assert found.absent is None


def test_gradients_are_clipped_before_the_step():
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.SGD(layer.parameters(), 1.0)

    def clip():
        nn.utils.clip_grad_value_(layer.parameters(), 0.25)

    Precision("float32", "cpu").minimise(-layer(torch.ones(1, 1)).sum(), optimizer, clip)
    assert layer.weight.item() == 0.25


def test_a_cpu_has_no_float16():
    with pytest.raises(ValueError, match="needs a GPU: CPUs compute in 'bfloat16'"):
        Precision("float16", "cpu")
