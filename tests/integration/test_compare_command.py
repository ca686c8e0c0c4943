import json

import pytest
from commands import run_command
from support import TINY

from torchreid_occ.utils.files import file_hash

pytestmark = pytest.mark.slow

BASE = {
    **TINY,
    "model.options.backbone": "resnet18_x0_5",
    "data.sources": "[occwalk_tiny]",
    "data.targets": "[occwalk_tiny, occwalk_tiny.clean]",
    "train.max_epoch": "1",
    "train.batch_size": "16",
}


def compare(folder, *more):
    return run_command("compare", "--folder", folder / "runs", "--root", folder / "data", *more)


def write_yaml(path, settings):
    tree = {}
    for key, value in settings.items():
        *sections, name = key.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = value
    path.write_text("\n".join(_lines(tree)))
    return path


def _lines(tree, indent=""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name}: {value}"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A pretraining in one phase and two rows with two seeds, each on a rendering of its own."""
    folder = tmp_path_factory.mktemp("compare")
    first = {**BASE, "model.name": "baseline", "loss.name": "identity"}
    weights = folder / "first" / "people" / "model" / "model.pth.tar-1"
    own = {"data.save_dir": folder / "first", "video.seq_len": "1", "phases": "[{name: people}]"}
    pretrain = write_yaml(folder / "pretrain.yaml", {**first, **own})
    ours = write_yaml(folder / "ours.yaml", {**first, "model.pretrained": weights})
    torchreids = {
        key: value
        for key, value in first.items()
        if key not in ("video.stride", "test.select", "loss.name")
    }
    theirs = write_yaml(
        folder / "torchreid.yaml",
        {**torchreids, "engine": "torchreid", "loss.name": "softmax", "model.pretrained": weights},
    )
    arguments = ["--pretrain", pretrain, "--suite", ours, theirs]
    arguments += ["--seeds", 3, 4, "--splits", 0, 1, "--jobs", 2]
    done = compare(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return folder, arguments, done.stdout


def test_tables_hold_what_the_runs_gave(compared):
    folder, _, output = compared
    table = (folder / "runs" / "table.md").read_text()
    assert table in output
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    for target in ("occwalk_tiny", "occwalk_tiny.clean"):
        found = []
        for seed, split in ((3, 0), (4, 1)):
            path = folder / "runs" / "ours" / f"seed_{seed}" / "results.json"
            result = json.loads(path.read_text())
            assert result["config"]["train"]["seed"] == seed
            assert result["config"]["data"]["split_id"] == split
            found.append(result["targets"][target]["last"])
        mean = 50 * (found[0]["mAP"] + found[1]["mAP"])
        # Student's t of two values: 12.7062 standard errors, each half of their difference.
        interval = 100 * 12.7062 * abs(found[0]["mAP"] - found[1]["mAP"]) / 2
        (row,) = (row for row in rows if row[:2] == [target, "ours"] and "±" in row[2])
        assert row[2] == f"{mean:.1f} ± {interval:.1f}"
        for result in found:
            precisions = result["average_precisions"]
            assert len(precisions) == 32
            assert sum(precisions) / 32 == pytest.approx(result["mAP"], abs=1e-5)
    heads = next(row for row in rows if row[:1] == ["tested on"] and "(" in row[2])
    assert sum(int(head.split("(")[1][:-1]) for head in heads[2:]) == 64  # queries of both seeds
    assert {row[1] for row in rows if row[:1] == ["occwalk_tiny"]} == {"ours", "torchreid"}
    made = json.loads((folder / "runs" / "table.json").read_text())
    assert [(one["tested on"], one["model"]) for one in made["rows"]][:2] == [
        ("occwalk_tiny", "ours"),
        ("occwalk_tiny", "torchreid"),
    ]
    assert all(one["frames_per_second"] > 0 for one in made["rows"])
    for name in ("table.csv", "cmc.png", "cost.png", "labels.png"):
        assert (folder / "runs" / name).stat().st_size > 100


def test_results_name_the_weights_that_a_run_started_from(compared):
    folder, *_ = compared
    weights = folder / "first" / "people" / "model" / "model.pth.tar-1"
    for row in ("ours", "torchreid"):
        path = folder / "runs" / row / "seed_3" / "results.json"
        assert json.loads(path.read_text())["initial_weights"] == {
            "source": "file",
            "name": str(weights),
            "version": None,
            "sha256": file_hash(weights),
        }


def test_finished_runs_are_read_and_changed_ones_refused(compared):
    folder, arguments, output = compared
    results = sorted((folder / "runs").glob("*/*/results.json"))
    before = [path.stat().st_mtime_ns for path in results]
    again = compare(folder, *arguments)
    assert again.returncode == 0
    assert [path.stat().st_mtime_ns for path in results] == before
    assert len(results) == 4
    assert output.splitlines()[-1] == again.stdout.splitlines()[-1]
    ours = folder / "ours.yaml"
    ours.write_text(ours.read_text() + "\nuse_gpu: true\nsgd:\n  momentum: 0.5\n")
    changed = compare(folder, *arguments)
    assert changed.returncode == 1
    assert "sgd.momentum was 0.9 and is 0.5" in changed.stderr
    assert [path.stat().st_mtime_ns for path in results] == before


def test_a_split_is_given_for_each_seed(compared):
    folder, arguments, _ = compared
    done = compare(folder, *arguments[:-3])
    assert done.returncode == 1
    assert "Received 1 splits for 2 seeds" in done.stderr
