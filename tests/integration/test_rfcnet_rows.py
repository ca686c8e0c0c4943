"""Every row of RFCnet's ablation tables takes a training and a test step, at tiny sizes."""

import inspect

import pytest
import torch
from support import REPOSITORY

from torchreid_occ.config import load_config
from torchreid_occ.losses import CRITERIA, build_criterion
from torchreid_occ.models import MODELS
from torchreid_occ.pipelines.build import build_configured_model, check_parts

ABLATION = REPOSITORY / "configs" / "ablation"
ROWS = sorted(path.relative_to(ABLATION).as_posix() for path in ABLATION.glob("rfcnet/**/*.yaml"))
TINY = [
    *("model.pretrained", "False", "model.options.backbone", "resnet18_x0_5"),
    *("data.height", "64", "data.width", "32"),
]
IDENTITIES, CLIPS = 3, 6


def load(row):
    return load_config(ABLATION / row, TINY)


def batch(num_frames):
    generator = torch.Generator().manual_seed(0)
    lines = torch.tensor([0.2, 0.5, 0.75, 0.5])
    return {
        "img": torch.rand(CLIPS, num_frames, 3, 64, 32, generator=generator),
        "pid": torch.arange(CLIPS) % IDENTITIES,
        "keypoints": lines.expand(CLIPS, num_frames, 4),
        "foreground": torch.rand(CLIPS, num_frames, 1, 64, 32, generator=generator),
    }


@pytest.mark.parametrize("row", ROWS)
def test_row_takes_a_step(row):
    config = load(row)
    check_parts(config)
    torch.manual_seed(0)
    model, _ = build_configured_model(config, IDENTITIES)
    criterion = build_criterion(config.loss.name, IDENTITIES, **config.loss.options)
    optimizer = torch.optim.Adam(model.parameters(), config.train.lr)
    data = batch(config.video.seq_len)
    before = {name: value.clone() for name, value in model.named_parameters()}
    losses = criterion(model.train()(data["img"]), data)
    losses["loss"].backward()
    optimizer.step()
    assert all(torch.isfinite(value) for value in losses.values())
    moved = {name for name, value in model.named_parameters() if not value.equal(before[name])}
    assert {"backbone.stages.0.conv1.weight", "backbone.stages.3.layer4.0.conv1.weight"} <= moved
    with torch.no_grad():
        features = model.eval()(data["img"])
    assert features.shape == (CLIPS, model.feature_dim)
    assert torch.isfinite(features).all()


# Rows that are another row under another name, as the papers print them twice.
SAME = [
    {"rfcnet/table8/srfc.yaml", "rfcnet/table8/rfc_stage2.yaml"},
    {"rfcnet/table9/s_t_rfc.yaml", "rfcnet/table9/rfc_stage2.yaml"},
    {
        *("rfcnet/table8/rfcnet.yaml", "rfcnet/figure7/apu_6.yaml"),
        *(f"rfcnet/figure12/lambda{name}.yaml" for name in ("1_0_1", "2_0_5", "3_0_05")),
    },
    {"rfcnet/table8/rfcnet_wo_lk.yaml", "rfcnet/figure12/lambda1_0_0.yaml"},
    {"rfcnet/table8/rfcnet_wo_lf.yaml", "rfcnet/figure12/lambda2_0_0.yaml"},
    {"rfcnet/table8/rfcnet_wo_lap.yaml", "rfcnet/figure12/lambda3_0_0.yaml"},
    {"rfcnet/figure7/fixed.yaml", "rfcnet/figure7/fixed_6.yaml"},
]


def resolved(row):
    """What a row runs: an option that repeats its default makes no difference."""
    config = load(row)
    parts = ((MODELS, config.model), (CRITERIA, config.loss))
    return config.video.seq_len, *(
        (
            part.name,
            *(
                str(part.options.get(name, parameter.default))
                for name, parameter in inspect.signature(table[part.name]).parameters.items()
            ),
        )
        for table, part in parts
    )


def test_no_two_rows_are_the_same_by_mistake():
    same = {}
    for row in ROWS:
        same.setdefault(resolved(row), set()).add(row)
    assert [rows for rows in same.values() if len(rows) > 1 and rows not in SAME] == []
