"""Tables and plots of a comparison, from invented results."""

import csv
import io
import json

import numpy as np
import pytest

from torchreid_occ.studies import comparison_tables
from torchreid_occ.studies.comparison import Comparison, write_comparison
from torchreid_occ.studies.comparison_plots import draw_cmc, draw_cost, draw_labels, styles
from torchreid_occ.studies.comparison_tables import (
    by_label,
    csv_table,
    interval,
    label_table,
    summarise,
    summary_table,
)


def run(precisions, seed=0, parameters=1_000_000, target="somewhere"):
    """Results of a run on one target."""
    mean = sum(precisions) / len(precisions)
    result = {
        "mAP": mean,
        "cmc": {1: mean / 2, 5: mean, 10: 1.0},
        "average_precisions": precisions,
    }
    return {
        "targets": {target: {"last": result}},
        "cost": {"parameters": parameters, "gmacs_per_clip": parameters / 2e6},
        "seconds": 10.0 + 2 * seed,
        "training_seconds": 7.0 + 2 * seed,
        "inference": {"frames": 30, "seconds": 1.5 + seed, "frames_per_second": 20.0},
        "config": {"data": {"split_id": seed}},
    }


@pytest.fixture
def runs():
    return {
        "one": [run([0.2, 0.4], 0), run([0.6, 0.8], 1)],
        "other": [run([1.0, 1.0], 0, 2_500_000), run([1.0, 1.0], 1, 2_500_000)],
    }


@pytest.fixture
def summary(runs):
    return summarise(runs, {"one": 20.0, "other": 5.0})


def test_the_interval_is_students(runs):
    # Three values with a standard deviation of one: 4.3027 / sqrt(3).
    assert interval([1.0, 2.0, 3.0]) == pytest.approx(2.4841, abs=1e-4)
    assert interval([1.0]) is None


def test_a_row_has_means_gains_and_costs(summary):
    assert summary_table(summary).splitlines() == [
        "| tested on | model | mAP | over one | rank-1 | rank-5 | rank-10 | parameters "
        "| GMACs a clip | training, s | test, s | frames/s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        "| somewhere | one | 50.0 ± 254.1 |  | 25.0 ± 127.1 | 50.0 ± 254.1 | 100.0 ± 0.0 "
        "| 1.00 M | 0.50 | 8 | 2.0 | 20 |",
        "| somewhere | other | 100.0 ± 0.0 | +50.0 ± 254.1 | 50.0 ± 0.0 | 100.0 ± 0.0 "
        "| 100.0 ± 0.0 | 2.50 M | 1.25 | 8 | 2.0 | 5 |",
    ]


def test_results_without_the_two_times_keep_their_seconds(runs):
    for seeds in runs.values():
        for one in seeds:
            del one["training_seconds"], one["inference"]
    lines = summary_table(summarise(runs, {"one": 20.0, "other": 5.0})).splitlines()
    assert lines[2].endswith("| 0.50 | 11 |  | 20 |")


def test_one_seed_has_no_interval(runs):
    one = {row: seeds[:1] for row, seeds in runs.items()}
    line = summary_table(summarise(one, {"one": 20.0, "other": 5.0})).splitlines()[3]
    assert line.startswith("| somewhere | other | 100.0 | +70.0 | 50.0 |")


def test_csv_holds_every_value(summary):
    one, other = csv.DictReader(io.StringIO(csv_table(summary)))
    assert (one["model"], float(one["mAP"]), float(one["mAP 2"])) == ("one", 0.5, 0.7)
    assert one["gain"] == ""
    assert float(other["gain"]) == 0.5
    assert float(other["gain 1"]) == 0.7
    assert float(other["frames_per_second"]) == 5.0


def test_rows_need_not_share_targets(runs):
    both = {"one": runs["one"][:1], "copied": [run([0.5, 0.7], target="elsewhere")]}
    lines = summary_table(summarise(both, {"one": 1.0, "copied": 1.0})).splitlines()
    assert lines[2].startswith("| somewhere | one | 30.0 |  |")
    assert lines[3].startswith("| elsewhere | copied | 60.0 |  |")
    assert len(lines) == 4


class Known:
    """Ground truth that knows labels only."""

    def __init__(self, labels):
        self.labels = labels

    def query_labels(self):
        return np.array(self.labels)


@pytest.fixture
def labels(runs, monkeypatch):
    found = {0: Known([1, 4]), 1: Known([4, 7])}
    monkeypatch.setattr(
        comparison_tables, "load_ground_truth", lambda _name, _root, split, _options: found[split]
    )
    for one in [*runs["one"], *runs["other"]]:
        one["targets"] = {"occwalk_tiny": one["targets"].pop("somewhere")}
    return by_label(runs, "root")


def test_queries_of_all_seeds_are_pooled_by_label(labels):
    assert labels["occwalk_tiny"]["one"] == {
        1: (pytest.approx(0.2), 1),
        4: (pytest.approx(0.5), 2),
        7: (pytest.approx(0.8), 1),
    }
    lines = label_table(labels).splitlines()
    assert lines[0] == "| tested on | model | 1 (1) | 4 (2) | 7 (1) |"
    assert lines[2] == "| occwalk_tiny | one | 20.0 | 50.0 | 80.0 |"


def test_targets_of_other_labels_have_a_table_of_their_own():
    labels = {"a": {"one": {1: (0.25, 3), 2: (0.5, 1)}}, "b": {"one": {2: (0.75, 4)}}}
    assert label_table(labels).splitlines()[::2] == [
        "| tested on | model | 1 (3) | 2 (1) |", "| a | one | 25.0 | 50.0 |",
        "| tested on | model | 2 (4) |", "| b | one | 75.0 |",
    ]  # fmt: skip


def test_a_dataset_without_ground_truth_has_no_labels(runs):
    elsewhere = {"one": [{**one, "targets": {"mars": {}}} for one in runs["one"]]}
    assert by_label(elsewhere, "root") == {}
    assert label_table({}) == ""


def test_plots_show_each_model_in_one_style(runs, summary, labels):
    drawn = styles(runs)
    assert drawn["one"]["color"] != drawn["other"]["color"]
    assert drawn["one"]["marker"] != drawn["other"]["marker"]
    cmc, found = (
        draw(*arguments, drawn).axes[0]
        for draw, arguments in (
            (draw_cmc, (runs, "occwalk_tiny")),
            (draw_labels, (labels, "occwalk_tiny")),
        )
    )
    curves = {line.get_label(): line for line in cmc.lines}
    assert curves["one"].get_xydata().tolist() == [[1, 25], [5, 50], [10, 100]]
    points = {line.get_label(): line for line in found.lines}
    assert points["one"].get_xdata().tolist() == [1, 4, 7]
    assert points["one"].get_ydata().tolist() == pytest.approx([20, 50, 80])
    cost = draw_cost(summary, "somewhere", drawn).axes[0]
    (dot, caps, _), other = (container.lines for container in cost.containers)
    assert dot.get_xydata().tolist() == [[0.5, 50.0]]
    assert caps[1].get_ydata() - 50 == pytest.approx(254.1, abs=0.1)
    assert other[0].get_color() == drawn["other"]["color"]


def test_tables_and_plots_are_written(runs, labels, tmp_path):
    summary = summarise(runs, {"one": 20.0, "other": 5.0})
    comparison = Comparison(runs, summary, labels)
    write_comparison(comparison, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "table.md", "table.csv", "table.json", "cmc.png", "cost.png", "labels.png",
    }  # fmt: skip
    assert (tmp_path / "table.md").read_text() == comparison.table()
    assert comparison.table() == f"{summary_table(summary)}\n{label_table(labels)}"
    content = json.loads((tmp_path / "table.json").read_text())
    assert [row["model"] for row in content["rows"]] == ["one", "other"]
    assert content["by_label"]["occwalk_tiny"]["one"]["4"] == [pytest.approx(0.5), 2]
