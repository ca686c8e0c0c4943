"""Runs of a comparison: finished ones are read, others are run, trainings become rows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import run_module

from torchreid_occ.config import load_config, plain
from torchreid_occ.runs.phases import phase_configs
from torchreid_occ.studies import comparison_runs
from torchreid_occ.studies.comparison import compare
from torchreid_occ.studies.comparison_runs import run_all, run_suite


def finish(config, mean=0.5, target="somewhere"):
    """Writes the files of a finished run, ten seconds a phase."""
    save_dir = Path(config.data.save_dir)
    save_dir.mkdir(parents=True, exist_ok=True)
    (save_dir / "config.yaml").write_text(config.dump())
    for phase in phase_configs(config).values() if config.phases else [config]:
        found = {"mAP": mean, "cmc": {1: mean / 2}, "average_precisions": [mean]}
        results = {"seconds": 10.0, "config": plain(phase)}
        if phase.task == "train":
            results["targets"] = {target: {"last": found}}
            results["training_seconds"] = 6.0
        folder = Path(phase.data.save_dir)
        folder.mkdir(exist_ok=True)
        (folder / "results.json").write_text(json.dumps(results))


def means(runs):
    return {
        row: [run["targets"]["somewhere"]["last"]["mAP"] for run in seeds]
        for row, seeds in runs.items()
    }


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(
        """
phases:
  - name: first
  - name: scored
    task: score
    take: {completion.extractor: first}
  - name: copied
    task: copy
    take: {completion.scores: scored}
  - name: second
  - name: third
    take: {data.options.completed.path: copied}
"""
    )
    return path


def test_seeds_and_splits_go_in_pairs(tmp_path):
    with pytest.raises(ValueError, match="Received 1 splits for 2 seeds: give one for each"):
        run_suite([], [1, 2], [1], tmp_path)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"jobs": 0}, "Received 0 jobs, but expected 1 or more"),
        ({"splits": [1]}, "Received 1 splits for 2 seeds"),
        ({"phases": ["absent"]}, r"Received phases \['absent'\]"),
    ],
)
def test_mistakes_are_told_before_the_start_is_trained(tmp_path, monkeypatch, wrong, message):
    monkeypatch.setattr(comparison_runs, "run_all", lambda *_: pytest.fail("trained"))
    path = tmp_path / "own.yaml"
    path.write_text("model: {name: baseline}\nloss: {name: identity}\n")
    with pytest.raises(ValueError, match=message):
        compare([path], [1, 2], folder=tmp_path, pretrain=path, **wrong)


def test_rows_of_one_name_are_refused(tmp_path):
    paths = [tmp_path / folder / "rfcnet.yaml" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    with pytest.raises(ValueError, match="give each file a name of its own"):
        run_suite(paths, [1], None, tmp_path)


def test_a_table_stands_for_all_its_rows(tmp_path):
    table = tmp_path / "table.yaml"
    table.write_text("rows:\n  one: {}\n  two: {train: {lr: 0.5}}\n")
    for row, mean in (("one", 0.1), ("two", 0.2)):
        folder = tmp_path / f"runs/{row}/seed_1"
        overrides = ["train.seed", "1", "data.save_dir", str(folder)]
        finish(load_config(f"{table}#{row}", overrides), mean)
    runs = run_suite([table], [1], None, tmp_path / "runs")
    assert means(runs) == {"one": [0.1], "two": [0.2]}
    assert runs["two"][0]["config"]["train"]["lr"] == 0.5
    assert means(run_suite([f"{table}#two"], [1], None, tmp_path / "runs")) == {"two": [0.2]}


def test_phases_are_rows_and_include_the_seconds_of_their_sources(suite, tmp_path):
    for seed, split in ((1, 7), (2, 8)):
        folder = tmp_path / f"runs/suite/seed_{seed}"
        overrides = ["train.seed", str(seed), "data.save_dir", str(folder)]
        finish(load_config(suite, [*overrides, "data.split_id", str(split)]), seed / 10)
    arguments = ([suite], [1, 2], [7, 8], tmp_path / "runs")
    last = run_suite(*arguments)
    assert means(last) == {"suite": [0.1, 0.2]}
    assert [run["config"]["data"]["split_id"] for run in last["suite"]] == [7, 8]
    named = run_suite(*arguments, phases=["second", "third"])
    assert means(named) == {"suite/second": [0.1, 0.2], "suite/third": [0.1, 0.2]}
    seconds = {row: seeds[0]["seconds"] for row, seeds in named.items()}
    assert seconds == {"suite/second": 10.0, "suite/third": 40.0}
    training = {row: seeds[0]["training_seconds"] for row, seeds in named.items()}
    assert training == {"suite/second": 6.0, "suite/third": 12.0}
    for phase in ("fourth", "scored"):
        with pytest.raises(
            ValueError, match=r"the phases that train are \['first', 'second', 'third'\]"
        ):
            run_suite(*arguments, phases=[phase])


def test_results_on_a_copy_are_named_after_its_source(tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "manifest.json").write_text('{"source": {"name": "somewhere"}}')
    path = tmp_path / "own.yaml"
    path.write_text(f"data:\n  options:\n    completed:\n      path: {copy}\n")
    folder = tmp_path / "runs/own/seed_1"
    config = load_config(path, ["train.seed", "1", "data.save_dir", str(folder)])
    finish(config, 0.3, target="completed")
    assert means(run_suite([path], [1], None, tmp_path / "runs")) == {"own": [0.3]}


@pytest.fixture
def planned(tmp_path):
    """Three runs, of which the first has finished."""
    path = tmp_path / "own.yaml"
    path.write_text("model: {name: baseline}\nloss: {name: identity}\n")
    runs = [(path, ["data.save_dir", str(tmp_path / f"run_{n}")]) for n in range(3)]
    finish(load_config(*runs[0]), 0.1)
    return runs


def test_runs_that_have_not_finished_share_the_threads(planned, monkeypatch):
    begun = {}

    def start(command, env, **_):
        *_, path, key, folder = command
        begun[Path(folder).name] = env["OMP_NUM_THREADS"]
        finish(load_config(path, [key, folder]), 0.2)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(comparison_runs.subprocess, "run", start)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    found = [done[None]["targets"]["somewhere"]["last"]["mAP"] for done in run_all(planned, 2)]
    assert found == [0.1, 0.2, 0.2]
    assert begun == {"run_1": "3", "run_2": "3"}
    assert run_all(planned, 2) == run_all(planned)
    assert len(begun) == 2


@pytest.mark.parametrize("visible, assigned", [(None, ("0", "1")), ("2,5", ("2", "5"))])
def test_several_gpus_are_assigned_in_rotation(planned, monkeypatch, visible, assigned):
    begun = {}

    def start(command, env, **_):
        begun[Path(command[-1]).name] = env["CUDA_VISIBLE_DEVICES"]
        finish(load_config(command[-3], command[-2:]))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(comparison_runs.subprocess, "run", start)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    run_all(planned, 4)
    assert tuple(begun[f"run_{n}"] for n in (1, 2)) == assigned


def test_the_message_of_a_failing_run_is_passed_on(planned, monkeypatch):
    def start(command, env, **_):
        interpreter, option, module, *words = command
        assert (interpreter, option) == (sys.executable, "-m")
        return run_module(module, *words, env=env)

    monkeypatch.setattr(comparison_runs.subprocess, "run", start)
    path, overrides = planned[0]
    with pytest.raises(RuntimeError, match=r"own\.yaml ended with status 1") as raised:
        run_all([(path, [*overrides, "train.lr", "0.1"])], jobs=2)
    assert "0.0003 and is 0.1" in str(raised.value)
    assert "Traceback" not in str(raised.value)
