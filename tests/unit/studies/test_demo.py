"""The demo on a run that has finished."""

import json
from pathlib import Path

import pytest
import torch
from small_backbone import SMALL_BACKBONE

from torchreid_occ.config import load_config, plain
from torchreid_occ.models import build_model
from torchreid_occ.studies.demo import results_table, run_demo
from torchreid_occ.utils.checkpoint import checkpoint_path, save_checkpoint

SIZE = {"height": 64, "width": 32}


def target(mean, precisions):
    cmc = {1: 0.5, 5: 0.75, 10: 1.0}
    return {"last": {"mAP": mean, "cmc": cmc, "average_precisions": precisions}}


RESULTS = {
    "targets": {
        "occwalk_tiny": target(0.125, [0.1, 0.2, 0.3, None]),
        "occwalk_tiny.clean": target(0.5, [0.4, 0.5, 0.9, None]),
    },
    "cost": {"parameters": 2_500_000},
    "seconds": 61.4,
    "epochs": 1,
    "selected_epoch": None,
}


def test_targets_are_rows_and_the_loss_is_that_of_each_query():
    """Losses of 30, 30 and 60 points: mean 40, t(2) = 4.303 times 17.32 / sqrt(3)."""
    assert results_table(RESULTS).splitlines() == [
        "| tested on | mAP | rank-1 | rank-5 | rank-10 |",
        "|---|---|---|---|---|",
        "| occwalk_tiny | 12.5 | 50.0 | 75.0 | 100.0 |",
        "| occwalk_tiny.clean | 50.0 | 50.0 | 75.0 | 100.0 |",
        "",
        "Occlusion costs 40.0 ± 43.0 points of mAP (95 % interval over the 3 queries, which are "
        "the same with and without occluders).",
    ]


@pytest.fixture
def finished(tmp_path, occwalk_root):
    """Configuration of a finished run on the smallest rendering."""
    torch.manual_seed(0)
    path = tmp_path / "demo.yaml"
    path.write_text(
        f"model: {{name: rfcnet, options: {{backbone: {SMALL_BACKBONE}, stages: [3]}}}}\n"
        f"data: {{sources: [occwalk_tiny], height: 64, width: 32, root: {occwalk_root},"
        f" save_dir: {tmp_path / 'run'}}}\n"
    )
    config = plain(load_config(path))
    built = build_model("rfcnet", 3, **SIZE, backbone=SMALL_BACKBONE, stages=[3])
    state = {"config": config, "num_classes": 3, "state_dict": built.state_dict()}
    save_checkpoint(state, checkpoint_path(tmp_path / "run", 1))
    (tmp_path / "run" / "results.json").write_text(json.dumps({**RESULTS, "config": config}))
    return path


def test_a_finished_run_is_read_and_drawn(finished, tmp_path):
    demo = run_demo(finished, tmp_path / "demo")
    assert "| occwalk_tiny.clean | 50.0 |" in demo.table
    assert demo.table_path == tmp_path / "demo" / "table.md"
    assert demo.table_path.read_text() == demo.table
    assert demo.save_dir == str(tmp_path / "run")
    names = [Path(path).name for path in demo.pictures]
    assert len(names) == 4 and names[0] == "stage3_partition.png"
    assert all(path.is_file() for path in demo.pictures)


def test_the_demo_tests_with_and_without_occluders():
    config = load_config("demo/rfcnet.yaml")
    assert list(config.data.targets) == ["occwalk_tiny", "occwalk_tiny.clean"]
