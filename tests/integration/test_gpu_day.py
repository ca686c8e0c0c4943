"""The first day on a GPU in the small form that a CPU can take: every part does its work."""

import json
import math
import os

import pytest
from commands import run_script
from support import REPOSITORY

QUICK = ("environment", "real")
# A minute in the small form.
LONG = (
    *("build", "operator", "loading", "extraction", "agreement", "tests", "training", "resume"),
    "comparison",
)
# Kernels are left as they are: other tests use them meanwhile.
ENVIRONMENT = {**os.environ, "TORCHREID_OCC_NO_EXT": "1"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, occwalk_root):
    return [tmp_path_factory.mktemp("results"), occwalk_root]


def run(folders, *arguments):
    out, root = folders
    small = ("--tiny", "--device", "cpu", "--minutes", "60")
    words = ("--out", out, "--root", root, *small, *arguments)
    return run_script("tools/benchmarks/gpu_day.py", *words, env=ENVIRONMENT)


def results_of(folders, parts):
    """Runs parts and returns what each wrote."""
    done = run(folders, "--parts", *parts)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found = {part: json.loads((folders[0] / f"{part}.json").read_text()) for part in parts}
    assert {content["status"] for content in found.values()} == {"done"}
    return found


@pytest.fixture(scope="module")
def found(folders):
    return results_of(folders, QUICK)


@pytest.fixture(scope="module")
def found_later(folders):
    return results_of(folders, LONG)


def test_the_machine_is_described(found):
    assert found["environment"]["device"] == "cpu"
    assert found["environment"]["hardware"]["cores"] == os.cpu_count()


@pytest.mark.slow
def test_what_the_build_prints_is_kept(found_later):
    assert "TORCHREID_OCC_NO_EXT=1" in found_later["build"]["output"]


@pytest.mark.slow
def test_the_tests_of_the_kernels_are_counted(found_later):
    tests = found_later["tests"]
    assert tests["failures"] == tests["errors"] == 0
    assert tests["tests"] == tests["skipped"] > 10  # all of them need a GPU


@pytest.mark.slow
def test_all_ways_compute_the_operator(found_later):
    operator = found_later["operator"]
    rows = {(row["precision"], row["way"]): row for row in operator["rows"]}
    ways = {"operator", "unfold", "sdpa on patches", "shift form"}
    expected = {(p, way) for p in ("float32", "bfloat16") for way in ways}
    assert rows.keys() == {*expected, ("float32", "compiled shift form")}
    for (precision, way), row in rows.items():
        assert row["error"] < (1e-5 if precision == "float32" else 2e-2), way
        for what, products in (("forward", 2), ("with gradients", 6)):
            # Two samples of 8 channels at 24 positions: products, or maps that are touched.
            operations = products * 2 * 2 * 8 * 24**2
            volume = (3 if what == "forward" else 6) * 2 * 8 * 24
            volume *= 4 if precision == "float32" else 2
            floor = max(
                operations / operator["flops_per_second"][precision],
                volume / operator["bytes_per_second"],
            )
            assert row[what]["over_roofline"] == pytest.approx(row[what]["seconds"] / floor)
    own = rows["float32", "operator"]
    for way in {*ways, "compiled shift form"} - {"operator"}:
        ratio = rows["float32", way]["forward"]["seconds"] / own["forward"]["seconds"]
        assert own["times_faster_than"]["forward"][way] == pytest.approx(ratio)


@pytest.mark.slow
def test_every_network_of_the_papers_trains(found_later):
    training = found_later["training"]
    rows = {(row["name"], row["precision"]): row for row in training["rows"]}
    names = {
        "baseline", "rfcnet", "vrstc, re-ID", "vrstc, STCnet", "vrstc, pretrain", "rru_stim",
        "trl_st2n, align", "trl_st2n, joint", "baseline, images", "rfcnet, images",
    }  # fmt: skip
    assert rows.keys() == {(n, p) for n in names for p in ("float32", "bfloat16")}
    for row in rows.values():
        assert row["step_seconds"] > 0
        assert row["clips"] == row["shape"][0] == 4
        assert ("inference_seconds" in row) == (row["name"] != "vrstc, STCnet")
    loaded = [row for row in rows.values() if "waiting_share" in row]
    assert {row["name"] for row in loaded} == {
        "baseline", "rfcnet", "vrstc, STCnet", "rru_stim", "trl_st2n, joint"
    }  # fmt: skip
    for row in loaded:
        share = 1 - row["step_seconds"] / row["loader_seconds_a_batch"]
        assert row["waiting_share"] == pytest.approx(max(0, share))
    overhead = training["overhead"]
    assert len(overhead) == 4
    one, other = (rows[name, "float32"]["step_seconds"] for name in ("baseline", "rfcnet"))
    (table,) = (row for row in overhead if "9" in row["table"] and row["precision"] == "float32")
    assert table["training_percent"] == pytest.approx(100 * (other / one - 1))


@pytest.mark.slow
def test_both_loaders_are_measured(found_later):
    rows = found_later["loading"]["rows"]
    assert [row["loader"] for row in rows] == ["torchreid", "torchreid_occ"]
    for row in rows:
        assert row["worker_milliseconds_a_frame"] == 0 < row["own_milliseconds_a_frame"]
        assert 0 < row["seconds_to_first_batch"] < 8 / row["frames_per_second"] * 1.01


@pytest.mark.slow
def test_both_engines_extract_the_same_features(found_later):
    extraction = found_later["extraction"]
    assert all(row["frames_per_second"] > 0 for row in extraction["rows"])
    assert {row["engine"] for row in extraction["rows"]} == {
        "torchreid", "torchreid_occ", "torchreid_occ, frames in memory"
    }  # fmt: skip
    assert extraction["cosine_to_torchreid"]["float32"] > 0.99999
    for row in found_later["agreement"]["rows"]:
        assert row["relative_error"] < (1e-2 if row["precision"] == "bfloat16" else 1e-5)


@pytest.mark.slow
def test_a_run_that_is_resumed_ends_where_the_whole_one_does(found_later):
    resume = found_later["resume"]
    assert [step["epochs"] for step in resume["steps"]] == [2, 3, 4]
    assert resume["is_equal"] is True  # all of it was on the CPU


@pytest.mark.slow
def test_systems_are_compared(found_later):
    comparison = found_later["comparison"]
    assert [row["system"] for row in comparison["rows"]] == ["baseline", "rfcnet"]
    for row in comparison["rows"]:
        assert 0 < row["targets"]["occwalk_tiny"]["mAP"] < 1
    assert all(math.isfinite(cost["epoch_seconds"]) for cost in comparison["estimated"].values())


def test_without_real_tracklets_their_part_is_left_out(found):
    assert "no folder of real tracklets" in found["real"]["left_out"]


def test_a_part_that_fails_leaves_its_error_and_the_next_goes_on(folders, tmp_path):
    done = run((tmp_path, folders[1]), "--parts", "real", "environment", "--real", tmp_path)
    assert done.returncode == 1
    failed, after = (
        json.loads((tmp_path / f"{p}.json").read_text()) for p in ("real", "environment")
    )
    assert failed["status"] == "failed"
    assert "FileNotFoundError" in failed["error"]
    assert after["status"] == "done"


def test_what_there_is_no_time_for_is_left_out(folders, tmp_path):
    done = run((tmp_path, folders[1]), "--parts", "environment", "--minutes", "0.05")
    assert done.returncode == 0
    assert json.loads((tmp_path / "environment.json").read_text())["status"] == "left out"


def test_unknown_parts_are_named(folders):
    done = run(folders, "--parts", "lunch")
    assert done.returncode == 1
    assert "There are no parts ['lunch']" in done.stderr
    assert not (REPOSITORY / "reid-data" / "gpu_day").exists()
