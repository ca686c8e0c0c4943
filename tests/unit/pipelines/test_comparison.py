"""Tables of a comparison, from results that are made up."""

import json

import numpy as np
import pytest

from torchreid_occ.config import load_config, plain
from torchreid_occ.pipelines import comparison
from torchreid_occ.pipelines.comparison import (
    cost_table,
    label_table,
    results_table,
    run_once,
    run_suite,
)


def run(precisions, seed=0, parameters=1_000_000):
    """What a run on one target leaves."""
    mean = sum(precisions) / len(precisions)
    result = {
        "mAP": mean,
        "cmc": {1: mean / 2, 5: mean, 10: 1.0},
        "average_precisions": precisions,
    }
    return {
        "targets": {"somewhere": {"last": result}},
        "cost": {"parameters": parameters, "gmacs_per_clip": 0.5},
        "seconds": 10.0 + seed,
        "config": {"data": {"split_id": seed}},
    }


@pytest.fixture
def runs():
    return {
        "one": [run([0.2, 0.4], 0), run([0.6, 0.8], 1)],
        "other": [run([1.0, 1.0], 0, 2_500_000), run([1.0, 1.0], 1, 2_500_000)],
    }


def test_means_and_spreads(runs):
    lines = results_table(runs).splitlines()
    assert lines[0] == "| tested on | model | mAP | over one | rank-1 | rank-5 | rank-10 |"
    assert lines[2] == (
        "| somewhere | one | 50.0 ± 28.3 |  | 25.0 ± 14.1 | 50.0 ± 28.3 | 100.0 ± 0.0 |"
    )
    assert lines[3].startswith("| somewhere | other | 100.0 ± 0.0 | +50.0 ± 28.3 | 50.0 ± 0.0 |")


def test_costs(runs):
    lines = cost_table(runs).splitlines()
    assert lines[2:] == ["| one | 1.00 M | 0.50 | 10 |", "| other | 2.50 M | 0.50 | 10 |"]


def test_queries_of_all_seeds_are_pooled_by_label(runs, monkeypatch):
    found = {0: np.array([1, 4]), 1: np.array([4, 7])}
    monkeypatch.setattr(comparison, "load_dataset", lambda _name, _root, split: Folder(split))
    monkeypatch.setattr(comparison, "query_labels", lambda split: found[split])
    for one in [*runs["one"], *runs["other"]]:
        one["targets"] = {"occwalk_tiny": one["targets"]["somewhere"]}
    lines = label_table(runs, "root").splitlines()
    assert lines[0] == "| tested on | model | 1 (1) | 4 (2) | 7 (1) |"
    assert lines[2] == "| occwalk_tiny | one | 20.0 | 50.0 | 80.0 |"
    elsewhere = {"one": [{**one, "targets": {"mars": {}}} for one in runs["one"]]}
    assert label_table(elsewhere, "root") == ""


class Folder:
    """A data set of which only the folder is asked for."""

    def __init__(self, dataset_dir):
        self.dataset_dir = dataset_dir


def test_seeds_and_splits_go_in_pairs(tmp_path):
    with pytest.raises(ValueError, match="Received 1 splits for 2 seeds: give one for each"):
        run_suite([], [1, 2], [1], tmp_path)
    with pytest.raises(ValueError, match="give each file another name"):
        run_suite(["a/rfcnet.yaml", "b/rfcnet.yaml"], [1], None, tmp_path)


def test_finished_runs_are_read_unless_they_say_something_else(tmp_path):
    overrides = ["data.save_dir", str(tmp_path), "model.name", "baseline"]
    config = load_config(None, [*overrides, "data.workers", "0"])
    finished = {**run([0.5]), "config": plain(config)}
    (tmp_path / "config.yaml").write_text(config.dump())
    (tmp_path / "results.json").write_text(json.dumps(finished))
    done = run_once(None, overrides)
    assert done[None]["targets"]["somewhere"]["last"]["cmc"][5] == 0.5
    with pytest.raises(ValueError, match=r"train\.lr was 0\.0003 and is 0\.1"):
        run_once(None, [*overrides, "train.lr", "0.1"])


def test_rows_need_not_share_targets(runs):
    elsewhere = {**run([0.5, 0.7]), "config": {"data": {"split_id": 0}}}
    elsewhere["targets"] = {"elsewhere": elsewhere["targets"]["somewhere"]}
    lines = results_table({"one": runs["one"][:1], "copied": [elsewhere]}).splitlines()
    assert lines[2].startswith("| somewhere | one | 30.0 ± 0.0 |  |")
    assert lines[3].startswith("| elsewhere | copied | 60.0 ± 0.0 |  |")
    assert len(lines) == 4


def test_phases_are_rows(tmp_path, monkeypatch):
    path = tmp_path / "suite.yaml"
    path.write_text("phases: [{name: first}, {name: second}, {name: scored, task: score}]")
    made = {"first": "results of first", "second": "results of second"}
    monkeypatch.setattr(comparison, "run_once", lambda _path, _overrides: made)
    assert run_suite([path], [1], None, tmp_path) == {"suite": ["results of second"]}
    named = run_suite([path], [1, 2], None, tmp_path, phases=["second", "first"])
    assert named == {
        "suite/second": ["results of second"] * 2,
        "suite/first": ["results of first"] * 2,
    }
    for phase in ("third", "scored"):
        with pytest.raises(
            ValueError, match=r"those that train and test are \['first', 'second'\]"
        ):
            run_suite([path], [1], None, tmp_path, phases=[phase])
