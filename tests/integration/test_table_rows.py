"""All configurations: each distinct model, criterion and completion takes a training step."""

import functools
import inspect
from types import SimpleNamespace

import pytest
import torch
from shipped_configs import CONFIGS, all_phases
from small_backbone import SMALL_BACKBONE
from support import REPOSITORY, training_batch

from torchreid_occ.completion.builders import build_completion_engine
from torchreid_occ.completion.discriminator import Discriminator
from torchreid_occ.completion.loss import CompletionLoss
from torchreid_occ.completion.network import STCnet
from torchreid_occ.config import plain, row_names
from torchreid_occ.losses import CRITERIA, build_criterion
from torchreid_occ.models import MODELS
from torchreid_occ.runs.builders import backend_of

ENDS = {  # names of a weight at each end of a backbone
    "googlenet": ("conv1.conv.weight", "inception5a.branch1.conv.weight"),
    "inception_v3": ("Conv2d_1a_3x3.conv.weight", "Mixed_7a.branch3x3_1.conv.weight"),
    **dict.fromkeys((SMALL_BACKBONE, "resnet18_x0_5"), ("conv1.weight", "layer4.0.conv1.weight")),
}
IDENTITIES, CLIPS = 2, 4


def tiny(phase):
    """The phase with small networks and frames, and without the products of earlier phases."""
    phase = phase.clone()
    phase.defrost()
    model, data = phase.model, phase.data
    default = inspect.signature(MODELS[model.name]).parameters["backbone"].default
    backbone = model.options.get("backbone", default)
    if backbone in (default, "resnet18_x0_5") or backbone not in ENDS:  # keeps others of table 4
        # VRSTC's attention stands behind blocks that are not their stage's last.
        backbone = "resnet18_x0_5" if model.name == "vrstc" else SMALL_BACKBONE
    model.update(pretrained=False, start_from="", load_weights="")
    model.options.backbone = backbone
    data.height, data.width = (64, 32) if "resnet" in backbone else (128, 96)
    if model.name == "rru_stim":
        model.options.auxiliary = "none"  # it needs larger maps
    if model.name == "trl_st2n":
        model.options.hidden = 8
    if phase.task == "train_completion":
        phase.completion.update(guider="", height=32, width=16)
        phase.completion.generator.width = 4
        phase.completion.discriminator.channels = (4, 4, 4, 4, 4, 4)
    phase.freeze()
    return phase


def kinds(options, function):
    """All options with defaults; weights other than 0 and 1 are equal, as they run the same code.

    As text, since options may be lists.
    """
    parameters = inspect.signature(function).parameters.items()
    values = {name: options.get(name, parameter.default) for name, parameter in parameters}
    is_weight = {name: isinstance(value, float) for name, value in values.items()}
    return str(
        {
            name: "weight" if is_weight[name] and value not in (0.0, 1.0) else value
            for name, value in values.items()
        }
    )


def trained_parts(phase):
    """What a phase trains: names of a table with their options, none if it trains nothing."""
    model, loss, completion = phase.model, phase.loss, phase.completion
    if phase.task == "train" and not phase.test.evaluate:
        return {
            (model.name, kinds(model.options, MODELS[model.name])),
            (f"loss {loss.name}", kinds(loss.options, CRITERIA[loss.name])),
        }
    if phase.task == "train_completion":
        return {
            ("generator", kinds(completion.generator, STCnet)),
            ("discriminator", kinds(completion.discriminator, Discriminator)),
            ("discriminators", str(completion.discriminators)),
            ("loss completion", kinds(completion.loss, CompletionLoss)),
        }
    return set()


@functools.cache
def distinct_phases():
    """Tiny phases that together train every distinct part of all configurations."""
    seen, chosen = set(), {}
    for name, phases in all_phases().items():
        ours = {key: tiny(phase) for key, phase in phases.items() if phase.engine == "clip"}
        for key, phase in ours.items():
            parts = trained_parts(phase)
            if not parts <= seen:
                chosen[f"{name}-{key}"] = phase
            seen |= parts
    return chosen


@pytest.mark.parametrize("name", distinct_phases())
def test_each_distinct_part_takes_a_step(name):
    phase = distinct_phases()[name]
    torch.manual_seed(0)
    if phase.task == "train":
        train_a_step(phase)
    else:
        complete_a_step(phase)


def train_a_step(config):
    model, _ = backend_of(config).build_model(IDENTITIES)
    criterion = build_criterion(config.loss.name, IDENTITIES, **plain(config.loss.options))
    optimizer = torch.optim.Adam(model.parameters(), config.train.lr)
    size = (config.data.height, config.data.width)
    data = training_batch(CLIPS, min(config.video.seq_len, 2), size, IDENTITIES)
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
    engine = build_completion_engine(config, datamanager)
    engine.set_model_mode("train")
    numbers = engine.forward_backward(batch)
    names = set(config.completion.discriminators)
    expected = {f"{name}_{part}" for name in names for part in ("adversarial", "discriminator")}
    assert numbers.keys() == {"loss", "reconstruction"} | expected
    engine.test()
    has_temporal = config.completion.generator.get("kind") != "spatial"
    assert ("temporal" in engine.results) == has_temporal


def test_every_training_names_parts_that_fit():
    faults = {}
    for name, phases in all_phases().items():
        for key, phase in phases.items():
            assert phase.data.save_dir, (name, key)
            if phase.task == "train":
                try:
                    backend_of(phase).check_parts()
                except (KeyError, ValueError) as error:
                    faults[name, key] = error
    assert not faults


# Rows that are another row under another name, as the papers print them twice; ablation rows below
# `configs/ablation`.
SAME = [
    {"rfcnet/table8.yaml#srfc", "rfcnet/table8.yaml#rfc_stage2"},
    {"rfcnet/table9.yaml#s_t_rfc", "rfcnet/table9.yaml#rfc_stage2"},
    {
        *("rfcnet/table8.yaml#rfcnet", "rfcnet/figure7.yaml#apu_6"),
        *(f"rfcnet/figure12.yaml#lambda{name}" for name in ("1_0_1", "2_0_5", "3_0_05")),
        "headline/rfcnet/table4.yaml#rfcnet",
    },
    {"rfcnet/table8.yaml#rfcnet_wo_lk", "rfcnet/figure12.yaml#lambda1_0_0"},
    {"rfcnet/table8.yaml#rfcnet_wo_lf", "rfcnet/figure12.yaml#lambda2_0_0"},
    {"rfcnet/table8.yaml#rfcnet_wo_lap", "rfcnet/figure12.yaml#lambda3_0_0"},
    {"rfcnet/figure7.yaml#fixed", "rfcnet/figure7.yaml#fixed_6"},
    {
        *("vrstc/table1.yaml#dukemtmcvidreid_stcnet", "headline/vrstc/table4.yaml#dukemtmcvidreid"),
        *("vrstc/figure4.yaml#lambda1_0_001", "vrstc/figure4.yaml#lambda2_0_1"),
    },
    {"headline/vrstc/table5.yaml#ilidsvid", "vrstc/table1.yaml#stcnet"},
    {"headline/vrstc/table3.yaml#mars", "vrstc/table1.yaml#mars_stcnet"},
    {"headline/rfcnet/table5.yaml#rfcnet", "rfcnet/table9.yaml#rfcnet"},
    *(
        {f"headline/rru_stim/table3.yaml#{row}", f"rru_stim/table1.yaml#{same}"}
        for row, same in (
            ("ilidsvid", "rru_stim_lp"),
            ("ilidsvid_baseline", "baseline"),
            ("prid2011", "prid2011_rru_stim_lp"),
            ("prid2011_baseline", "prid2011_baseline"),
        )
    ),
    {"headline/trl_st2n/table2.yaml#mars_baseline", "trl_st2n/table1.yaml#g"},
    {
        *("trl_st2n/table1.yaml#gs_st2n", "trl_st2n/figure4.yaml#fusion"),
        *("trl_st2n/figure5.yaml#alpha_0_5", "trl_st2n/figure5.yaml#beta_0_5"),
        "headline/trl_st2n/table2.yaml#mars",
    },
    *(
        {f"headline/trl_st2n/table3.yaml#{data}", f"trl_st2n/figure4.yaml#{data}_fusion"}
        for data in ("prid2011", "ilidsvid", "sduvid")
    ),
    {"rru_stim/table2.yaml#rru_stim_lp", "headline/rru_stim/table3.yaml#mars"},
    {"trl_st2n/table1.yaml#g_st2n", "trl_st2n/figure5.yaml#alpha_1_0"},
    {"trl_st2n/table1.yaml#s_st2n", "trl_st2n/figure5.yaml#alpha_0_0"},
    {"trl_st2n/figure4.yaml#main", "trl_st2n/figure5.yaml#beta_1_0"},
    {"trl_st2n/figure4.yaml#alignment", "trl_st2n/figure5.yaml#beta_0_0"},
]


def resolved(phases):
    """What a row runs: an option that repeats its default makes no difference."""
    trees = {}
    for name, phase in phases.items():
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
    for name, phases in all_phases().items():
        if name.startswith(("ablation", "headline")):
            same.setdefault(resolved(phases), set()).add(name.removeprefix("ablation/"))
    assert [rows for rows in same.values() if len(rows) > 1 and rows not in SAME] == []


def test_every_headline_row_is_in_the_index():
    index = (REPOSITORY / "docs" / "results.md").read_text()
    for path in (CONFIGS / "headline").rglob("*.yaml"):
        assert path.name in index
        for row in row_names(path):
            ending = row.partition("_")[2]  # where the index lists data and rows separately
            assert any(f"{name}`" in index for name in (row, ending or row)), f"{path}#{row}"
