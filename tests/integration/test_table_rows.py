"""Every row of the papers' tables takes a step of each training it has, at tiny sizes."""

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support import REPOSITORY, training_batch

from torchreid_occ.completion.builders import build_completion_engine
from torchreid_occ.completion.loss import CompletionLoss
from torchreid_occ.config import load_config, plain
from torchreid_occ.losses import CRITERIA, build_criterion
from torchreid_occ.models import MODELS
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.phases import phase_configs

CONFIGS = REPOSITORY / "configs"
ROWS = sorted(
    path.relative_to(CONFIGS).as_posix()
    for tables in ("ablation", "headline")
    for path in (CONFIGS / tables).rglob("*.yaml")
)
# What no ablation row trains; other headline rows are rows of this kind or ablation rows on other
# data.
OF_THEIR_OWN = [
    *("headline/rfcnet/table4/ce.yaml", "headline/rfcnet/table4/ce_keypoints.yaml"),
    "headline/rfcnet/table6/market1501/ce_triplet_foreground.yaml",
]
TINY = ["model.pretrained", "False", "data.height", "64", "data.width", "32"]
TINY_BACKBONE = ["model.options.backbone", "resnet18_x0_5"]
ENDS = {  # names of a weight at each end of a backbone
    "googlenet": ("conv1.conv.weight", "inception5a.branch1.conv.weight"),
    "inception_v3": ("Conv2d_1a_3x3.conv.weight", "Mixed_7a.branch3x3_1.conv.weight"),
    "resnet18_x0_5": ("conv1.weight", "layer4.0.conv1.weight"),
}
TINY_SYSTEMS = {
    "rru_stim": ["model.options.auxiliary", "none"],  # Inception's, for larger maps
    "trl_st2n": ["model.options.hidden", "8"],
    "vrstc": [
        *("completion.height", "32", "completion.width", "16", "completion.generator.width", "4"),
        *("completion.discriminator.channels", "(4, 4, 4, 4, 4, 4)"),
    ],
}
IDENTITIES, CLIPS = 3, 6


def phases_of(row):
    tiny, system = [*TINY], row.split("/")[1]
    if "inception" in row or "googlenet" in row:  # rows of another backbone than their system's
        tiny += ["data.height", "128", "data.width", "96"]
    else:
        tiny += TINY_BACKBONE
    if system != "vrstc" or load_config(CONFIGS / row).phases:  # else there is no completion
        tiny += TINY_SYSTEMS.get(system, ())
    config = load_config(CONFIGS / row, tiny)
    return phase_configs(config) or {"train": config}


def marked(row):
    is_quick = row.startswith("ablation") or row in OF_THEIR_OWN
    return pytest.param(row, marks=[] if is_quick else pytest.mark.slow)


@pytest.mark.parametrize("row", [marked(row) for row in ROWS])
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
    assert trained >= 1


def train_a_step(config):
    backend_of(config).check_parts()
    model, _ = backend_of(without(config, "model", "start_from")).build_model(IDENTITIES)
    criterion = build_criterion(config.loss.name, IDENTITIES, **plain(config.loss.options))
    optimizer = torch.optim.Adam(model.parameters(), config.train.lr)
    size = (config.data.height, config.data.width)
    data = training_batch(CLIPS, config.video.seq_len, size, IDENTITIES)
    before = {name: value.clone() for name, value in model.named_parameters()}
    losses = criterion(model.train()(data["img"]), data)
    losses["loss"].backward()
    optimizer.step()
    assert all(torch.isfinite(value) for value in losses.values())
    moved = {name for name, value in model.named_parameters() if not value.equal(before[name])}
    ends = ENDS[config.model.options.backbone]
    assert all(any(name.endswith(end) for name in moved) for end in ends)
    with torch.no_grad():
        features = model.eval()(data["img"])
    assert features.shape == (CLIPS, model.feature_dim)
    assert torch.isfinite(features).all()


def complete_a_step(config):
    size = (config.completion.height, config.completion.width)
    frame, previous, following = 2 * torch.rand(3, CLIPS, 3, *size) - 1
    mask = torch.zeros(CLIPS, 1, *size)
    mask[:, :, :11] = 1
    batch = {"img": frame, "mask": mask, "previous": previous, "following": following}
    batch["pid"] = torch.arange(CLIPS) % IDENTITIES
    datamanager = SimpleNamespace(train_loader=[batch], test_loader=[batch], num_pids=IDENTITIES)
    engine = build_completion_engine(without(config, "completion", "guider"), datamanager)
    engine.set_model_mode("train")
    numbers = engine.forward_backward(batch)
    names = set(config.completion.discriminators)
    expected = {f"{name}_{part}" for name in names for part in ("adversarial", "discriminator")}
    assert numbers.keys() == {"loss", "reconstruction"} | expected
    engine.test()
    has_temporal = config.completion.generator.get("kind") != "spatial"
    assert ("temporal" in engine.results) == has_temporal


def without(config, section, key):
    """A configuration without what an earlier phase would have made, as there is none here."""
    config = config.clone()
    config.defrost()
    config[section][key] = ""
    config.freeze()
    return config


# Rows that are another row under another name, as the papers print them twice; ablation rows below
# `configs/ablation`.
SAME = [
    {"rfcnet/table8/srfc.yaml", "rfcnet/table8/rfc_stage2.yaml"},
    {"rfcnet/table9/s_t_rfc.yaml", "rfcnet/table9/rfc_stage2.yaml"},
    {
        *("rfcnet/table8/rfcnet.yaml", "rfcnet/figure7/apu_6.yaml"),
        *(f"rfcnet/figure12/lambda{name}.yaml" for name in ("1_0_1", "2_0_5", "3_0_05")),
        "headline/rfcnet/table4/rfcnet.yaml",
    },
    {"rfcnet/table8/rfcnet_wo_lk.yaml", "rfcnet/figure12/lambda1_0_0.yaml"},
    {"rfcnet/table8/rfcnet_wo_lf.yaml", "rfcnet/figure12/lambda2_0_0.yaml"},
    {"rfcnet/table8/rfcnet_wo_lap.yaml", "rfcnet/figure12/lambda3_0_0.yaml"},
    {"rfcnet/figure7/fixed.yaml", "rfcnet/figure7/fixed_6.yaml"},
    {
        "vrstc/table1/stcnet.yaml",
        *("vrstc/figure4/lambda1_0_001.yaml", "vrstc/figure4/lambda2_0_1.yaml"),
    },
    {
        *("trl_st2n/table1/gs_st2n.yaml", "trl_st2n/figure4/fusion.yaml"),
        *("trl_st2n/figure5/alpha_0_5.yaml", "trl_st2n/figure5/beta_0_5.yaml"),
    },
    {"rru_stim/table2/rru_stim_lp.yaml", "headline/rru_stim/table3/mars.yaml"},
    {"trl_st2n/table1/g_st2n.yaml", "trl_st2n/figure5/alpha_1_0.yaml"},
    {"trl_st2n/table1/s_st2n.yaml", "trl_st2n/figure5/alpha_0_0.yaml"},
    {"trl_st2n/figure4/main.yaml", "trl_st2n/figure5/beta_1_0.yaml"},
    {"trl_st2n/figure4/alignment.yaml", "trl_st2n/figure5/beta_0_0.yaml"},
]


def resolved(row):
    """What a row runs: an option that repeats its default makes no difference."""
    trees = {}
    for name, phase in phases_of(row).items():
        tree = plain(phase)
        tree["data"]["save_dir"] = tree["data"]["supervision"] = ""
        for section, table in (("model", MODELS), ("loss", CRITERIA)):
            part = tree[section]
            part["options"] = with_defaults(part["options"], table[part["name"]])
        tree["completion"]["loss"] = with_defaults(tree["completion"]["loss"], CompletionLoss)
        trees[name] = tree
    return str(trees)


def with_defaults(options, function):
    parameters = inspect.signature(function).parameters.items()
    return {name: str(options.get(name, parameter.default)) for name, parameter in parameters}


def test_no_two_rows_are_the_same_by_mistake():
    same = {}
    for row in ROWS:
        same.setdefault(resolved(row), set()).add(row.removeprefix("ablation/"))
    assert [rows for rows in same.values() if len(rows) > 1 and rows not in SAME] == []


def test_every_headline_row_is_in_the_index():
    index = (REPOSITORY / "docs" / "results.md").read_text()
    rows = [Path(row) for row in ROWS if row.startswith("headline")]
    assert [row for row in rows if f"{row.name}`" not in index] == []
    assert [row for row in rows if f"{row.parent.name}/" not in index] == []
