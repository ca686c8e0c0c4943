"""The demo on runs that have finished."""

import json
import re
from pathlib import Path

import pytest
import torch

from torchreid_occ.config import load_config, plain
from torchreid_occ.models import build_model
from torchreid_occ.studies.demo import results_table, run_demo
from torchreid_occ.utils.checkpoint import checkpoint_path, save_checkpoint

SIZE = {"height": 64, "width": 32}


def results(mean):
    last = {"mAP": mean, "cmc": {1: 0.5, 5: 0.75, 10: 1.0}, "average_precisions": []}
    return {
        "targets": {"occwalk_tiny": {"last": last}},
        "cost": {"parameters": 2_500_000},
        "seconds": 61.4,
        "epochs": 1,
        "selected_epoch": None,
    }


def test_a_run_is_a_row():
    assert results_table({"RFCnet": results(0.125)}).splitlines() == [
        "| model | mAP | rank-1 | rank-5 | rank-10 | parameters | seconds |",
        "|---|---|---|---|---|---|---|",
        "| RFCnet | 12.5 | 50.0 | 75.0 | 100.0 | 2.50 M | 61 |",
    ]


@pytest.fixture
def finished(tmp_path, occwalk_root):
    """Configurations of two finished runs on the smallest rendering."""
    torch.manual_seed(0)
    paths = {}
    for name, model, mean in (("one", "baseline", 0.25), ("other", "rfcnet", 0.5)):
        save_dir = tmp_path / name
        paths[name] = tmp_path / f"{name}.yaml"
        paths[name].write_text(
            f"model: {{name: {model}, options: {{backbone: resnet18_x0_5}}}}\n"
            f"data: {{sources: [occwalk_tiny], height: 64, width: 32, root: {occwalk_root},"
            f" save_dir: {save_dir}}}\n"
        )
        config = plain(load_config(paths[name]))
        built = build_model(model, 3, **SIZE, backbone="resnet18_x0_5")
        state = {"config": config, "num_classes": 3, "state_dict": built.state_dict()}
        save_checkpoint(state, checkpoint_path(save_dir, 1))
        (save_dir / "results.json").write_text(json.dumps({**results(mean), "config": config}))
    return paths


def test_finished_runs_are_read_and_the_last_is_drawn(finished, tmp_path):
    demo = run_demo(finished, tmp_path / "demo")
    assert re.findall(r"^\| (\w+) \| (\d\d\.0) ", demo.table, re.MULTILINE) == [
        ("one", "25.0"),
        ("other", "50.0"),
    ]
    assert demo.table_path == tmp_path / "demo" / "table.md"
    assert demo.table_path.read_text() == demo.table
    assert demo.save_dirs == [str(tmp_path / name) for name in ("one", "other")]
    names = [Path(path).name for path in demo.pictures]
    assert len(names) == 8 and names[0] == "stage2_partition.png"
    assert all(path.is_file() for path in demo.pictures)
