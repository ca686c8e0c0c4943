import math
from types import SimpleNamespace

import pytest
import torch
from small_backbone import SMALL_BACKBONE
from torch import nn

from torchreid_occ.completion.discriminator import Discriminator
from torchreid_occ.completion.engine import VIEWS, CompletionEngine, Trained, _frozen
from torchreid_occ.completion.guider import IdGuider
from torchreid_occ.completion.loss import CompletionLoss
from torchreid_occ.completion.network import STCnet
from torchreid_occ.models import build_model
from torchreid_occ.utils.logs import logger

SIZE = (16, 8)


def make_batch(seed):
    generator = torch.Generator().manual_seed(seed)
    frame, previous, following = 2 * torch.rand(3, 4, 3, *SIZE, generator=generator) - 1
    mask = torch.zeros(4, 1, *SIZE)
    mask[:, :, 5:11] = 1
    return {
        "img": frame,
        "mask": mask,
        "previous": previous,
        "following": following,
        "pid": torch.arange(4) % 3,
    }


def make_guider():
    torch.manual_seed(9)
    model = build_model("baseline", 3, backbone=SMALL_BACKBONE, neck=False)
    return IdGuider(model, 32, 16, [0.5] * 3, [0.5] * 3)


def make_engine(kind="temporal", names=("local", "global"), guider=None, lr=1e-3, **options):
    torch.manual_seed(0)
    batches = [make_batch(seed) for seed in range(3)]
    datamanager = SimpleNamespace(
        train_loader=batches, test_loader=batches[:1], set_epoch=lambda epoch: None
    )
    generator = STCnet(kind, width=4)
    discriminators = {}
    for name in names:
        module = Discriminator(*SIZE, channels=(4,) * 6)
        discriminators[name] = trained(module, lr)
    criterion = CompletionLoss(lambda_adversarial=0.1)
    networks = (trained(generator, lr), discriminators, criterion, guider)
    return CompletionEngine(datamanager, *networks, use_gpu=False, **options)


def trained(module, lr):
    """Returns a module with an optimiser whose rate is halved every third step."""
    optimizer = torch.optim.Adam(module.parameters(), lr)
    return Trained(module, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5))


def weights(engine):
    return {
        f"{model}.{name}": value.clone()
        for model in engine.get_model_names()
        for name, value in engine._models[model].state_dict().items()
    }


@pytest.mark.parametrize(
    ("kind", "names", "guided"),
    [
        ("spatial", (), False),  # Spa
        ("autoencoder", (), False),  # Spa+AE
        ("temporal_autoencoder", (), False),  # Spa+TAE
        ("temporal", (), False),  # Spa+Tem
        ("temporal", ("local",), False),  # +LD
        ("temporal", ("local", "global"), False),  # +LD+GD
        ("temporal", ("local", "global"), True),  # STCnet
    ],
)
def test_each_row_of_table_1_trains_every_network(kind, names, guided, tmp_path):
    guider = make_guider() if guided else None
    engine = make_engine(kind, names, guider)
    before = weights(engine)
    results = engine.run(str(tmp_path), 1)
    after = weights(engine)
    assert all(not torch.equal(after[name], before[name]) for name in before)
    expected = {"spatial"} if kind == "spatial" else {"spatial", "temporal"}
    assert results["last"].keys() == expected
    assert all(0 < result["grey_levels"] < 255 for result in results["last"].values())


def test_an_epoch_leaves_the_guider_bit_equal(tmp_path):
    guider = make_guider()
    before = {name: value.clone() for name, value in guider.state_dict().items()}
    assert any("running_mean" in name for name in before)
    engine = make_engine(guider=guider)
    engine.run(str(tmp_path), 1, eval_freq=-1)
    assert all(torch.equal(value, before[name]) for name, value in guider.state_dict().items())
    assert "guider" not in engine.get_model_names()


def test_all_losses_are_reported_and_total_as_weighted():
    engine = make_engine(guider=make_guider())
    engine.set_model_mode("train")
    numbers = engine.forward_backward(make_batch(0))
    assert numbers.keys() == {
        "loss",
        "reconstruction",
        "local_adversarial",
        "global_adversarial",
        "guider",
        "local_discriminator",
        "global_discriminator",
    }
    adversarial = numbers["local_adversarial"] + numbers["global_adversarial"]
    total = numbers["reconstruction"] + 0.1 * adversarial + 0.1 * numbers["guider"]
    assert numbers["loss"] == pytest.approx(total, rel=1e-5)


def test_discriminators_learn_from_their_own_loss_alone():
    engine = make_engine(names=("local",))
    engine.set_model_mode("train")
    module, *_ = engine.discriminators["local"]
    batch = make_batch(1)
    completed = engine.generator(
        *(batch[name] for name in ("img", "mask", "previous", "following"))
    ).final.detach()
    twin = Discriminator(*SIZE, channels=(4,) * 6)
    twin.load_state_dict(module.state_dict())
    view = VIEWS["local"]
    real, fake = (twin(view(x, batch["mask"])) for x in (batch["img"], completed))
    (nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()).backward()
    engine.forward_backward(batch)
    for parameter, expected in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad)


def test_generators_learn_through_frozen_discriminators():
    module = Discriminator(*SIZE, channels=(4,) * 6)
    frame = torch.rand(2, 3, *SIZE).requires_grad_()
    with _frozen([module]):
        module(frame).sum().backward()
    assert frame.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_the_local_discriminator_sees_the_mask_only():
    frame, mask = torch.ones(1, 3, 2, 2), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert VIEWS["local"](frame, mask).sum() == 3
    assert VIEWS["global"](frame, mask) is frame


def test_a_resumed_run_ends_with_the_same_weights(tmp_path):
    whole = make_engine(guider=make_guider())
    whole.run(str(tmp_path / "whole"), 3, checkpoint_freq=1)
    first = make_engine(guider=make_guider())
    first.run(str(tmp_path / "parts"), 2, checkpoint_freq=1)
    second = make_engine(guider=make_guider())
    second.run(str(tmp_path / "parts"), 3, checkpoint_freq=1)
    expected, found = weights(whole), weights(second)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("broken", ["generator", "discriminator"])
def test_a_diverged_run_stops_and_names_the_loss(broken, tmp_path):
    engine = make_engine(names=("local",))
    if broken == "generator":
        engine.criterion.register_forward_hook(
            lambda *_: {"loss": torch.tensor(math.nan), "reconstruction": torch.tensor(1.0)}
        )
        message = r"loss 'loss' is nan in epoch 1, batch 1 of 3"
    else:
        nn.init.constant_(engine.discriminators["local"][0].linear.bias, math.inf)
        message = r"loss 'local_discriminator' is (nan|inf) in epoch 1, batch 1 of 3"
    before = weights(engine)
    with pytest.raises(FloatingPointError, match=message):
        engine.run(str(tmp_path), 1)
    changed = [
        name for name, value in weights(engine).items() if not torch.equal(value, before[name])
    ]
    assert not any(name.startswith("generator") for name in changed)


def test_a_discriminator_that_has_won_is_named_once(caplog, monkeypatch):
    monkeypatch.setattr("torchreid_occ.completion.engine.PATIENCE", 3)
    engine = make_engine(names=("local",))
    logger.propagate = True
    for loss in (0.001, 0.001, 0.5, 0.001, 0.001, 0.001, 0.001):
        engine._watch("local", loss)
    assert len(caplog.records) == 1
    assert "local discriminator has won" in caplog.text


def test_a_step_in_half_precision_is_close_to_one_in_float32():
    numbers = []
    for precision in ("float32", "bfloat16"):
        engine = make_engine(guider=make_guider(), precision=precision)
        engine.set_model_mode("train")
        numbers.append(engine.forward_backward(make_batch(0)))
        assert {value.dtype for value in weights(engine).values()} <= {torch.float32, torch.int64}
    plain, mixed = numbers
    assert plain != mixed
    assert all(mixed[name] == pytest.approx(plain[name], rel=0.05, abs=0.02) for name in plain)
