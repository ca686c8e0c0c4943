"""Every row of VRSTC's tables takes a step of each training it has, at tiny sizes."""

from types import SimpleNamespace

import pytest
import torch
from support import REPOSITORY

from torchreid_occ.config import load_config, plain
from torchreid_occ.losses import build_criterion
from torchreid_occ.pipelines.build import build_configured_model, check_parts
from torchreid_occ.pipelines.completion import build_completion_engine
from torchreid_occ.pipelines.phases import phase_configs

ABLATION = REPOSITORY / "configs" / "ablation" / "vrstc"
ROWS = sorted(path.relative_to(ABLATION).as_posix() for path in ABLATION.rglob("*.yaml"))
TINY = [
    *("model.pretrained", "False", "model.options.backbone", "resnet18_x0_5"),
    *("data.height", "64", "data.width", "32", "data.sources", "['occwalk_tiny']"),
    *("completion.height", "32", "completion.width", "16", "completion.generator.width", "4"),
    *("completion.discriminator.channels", "(4, 4, 4, 4, 4, 4)"),
]
IDENTITIES, CLIPS = 3, 6


def phases_of(row):
    config = load_config(ABLATION / row, TINY)
    return phase_configs(config) or {"train": config}


@pytest.mark.parametrize("row", ROWS)
def test_row_takes_its_steps(row):
    torch.manual_seed(0)
    trained = 0
    for phase in phases_of(row).values():
        if phase.task == "train" and not phase.test.evaluate:
            train_a_step(phase)
            trained += 1
        elif phase.task == "train_completion":
            complete_a_step(phase)
            trained += 1
    assert trained == {"table2": 1}.get(row.split("/")[0], 1 if plain_row(row) else 3)


def plain_row(row):
    return row in ("table1/baseline.yaml", "table1/nl.yaml")


def train_a_step(config):
    check_parts(config)
    model, _ = build_configured_model(config, IDENTITIES)
    criterion = build_criterion(config.loss.name, IDENTITIES, **plain(config.loss.options))
    clips = torch.rand(CLIPS, 4, 3, 64, 32)
    losses = criterion(model.train()(clips), {"pid": torch.arange(CLIPS) % IDENTITIES})
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert losses.keys() == {"loss", "ce", "acc"}
    with torch.no_grad():
        assert torch.isfinite(model.eval()(clips)).all()


def complete_a_step(config):
    size = (config.completion.height, config.completion.width)
    frame, previous, following = 2 * torch.rand(3, CLIPS, 3, *size) - 1
    mask = torch.zeros(CLIPS, 1, *size)
    mask[:, :, :11] = 1
    batch = {"img": frame, "mask": mask, "previous": previous, "following": following}
    batch["pid"] = torch.arange(CLIPS) % IDENTITIES
    without_guider = load_completion(config)
    datamanager = SimpleNamespace(train_loader=[batch], test_loader=[batch], num_pids=IDENTITIES)
    engine = build_completion_engine(without_guider, datamanager)
    engine.set_model_mode("train")
    numbers = engine.forward_backward(batch)
    names = set(config.completion.discriminators)
    expected = {f"{name}_{part}" for name in names for part in ("adversarial", "discriminator")}
    assert numbers.keys() == {"loss", "reconstruction"} | expected
    engine.test()
    has_temporal = config.completion.generator.get("kind") != "spatial"
    assert ("temporal" in engine.results) == has_temporal


def load_completion(config):
    """The configuration without its guider, whose checkpoint there is none of here."""
    config = config.clone()
    config.defrost()
    config.completion.guider = ""
    config.freeze()
    return config


# Rows that are another row under another name, as the paper prints them twice.
SAME = [{"table1/stcnet.yaml", "figure4/lambda1_0_001.yaml", "figure4/lambda2_0_1.yaml"}]
DEFAULTS = {"lambda_adversarial": 0.001, "lambda_guider": 0.1}


def test_no_two_rows_are_the_same_by_mistake():
    same = {}
    for row in ROWS:
        resolved = {}
        for name, phase in phases_of(row).items():
            tree = plain(phase)
            tree["completion"]["loss"] = DEFAULTS | tree["completion"]["loss"]
            tree["data"]["save_dir"] = ""
            resolved[name] = tree
        same.setdefault(str(resolved), set()).add(row)
    assert [rows for rows in same.values() if len(rows) > 1 and rows not in SAME] == []
