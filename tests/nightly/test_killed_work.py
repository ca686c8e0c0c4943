"""Work killed at random points: the results equal those of uninterrupted work."""

import json

import pytest
import torch

from nightly.jobs import Job, make_jobs
from nightly.killing import kill_repeatedly
from torchreid_occ.utils.checkpoint import save_checkpoint
from torchreid_occ.utils.files import write_json

pytestmark = pytest.mark.nightly


def step(folder, careful=True):
    """Writes three checkpoints, continuing after the last, then results."""
    for number in (1, 2, 3):
        path = folder / f"model.pth.tar-{number}"
        if not (careful and path.exists()):
            for left in folder.glob(".*.partial"):
                left.unlink()
            save_checkpoint({"weights": torch.full((2,), number)}, path)
    for left in folder.glob(".*.partial"):
        left.unlink()
    write_json(folder / "results.json", {"weights": 3, "seconds": id(folder)})


def untidy(folder):
    folder.mkdir(exist_ok=True)
    number = len([*folder.glob("*")])
    (folder / f"left-{number}").write_text("x")
    write_json(folder / "results.json", {"tries": number})


def test_careful_work_equals_uninterrupted_work(tmp_path):
    report = kill_repeatedly(Job(step, ("model.pth.tar-*",)), tmp_path, 8, seed=1)
    assert report.kills == 8
    assert 0 < report.at_file_changes <= 8
    assert not report.faults
    assert json.loads((tmp_path / "whole" / "results.json").read_text())["weights"] == 3


def test_repeated_work_and_left_over_files_are_detected(tmp_path):
    (tmp_path / "again").mkdir()
    again = Job(lambda folder: step(folder, careful=False), ("model.pth.tar-*",))
    faults = kill_repeatedly(again, tmp_path / "again", 6, seed=1).faults
    assert any("was made again" in fault for fault in faults)
    (tmp_path / "untidy").mkdir()
    faults = kill_repeatedly(Job(untidy, ()), tmp_path / "untidy", 6, seed=1).faults
    assert any(fault.startswith("left-") and fault.endswith("is there, too") for fault in faults)
    assert "results.json has another content" in faults


def test_fifty_kills(tmp_path):
    (tmp_path / "inputs").mkdir()
    jobs = make_jobs(tmp_path / "inputs")
    for name, kills in zip(jobs, (7, 7, 6, 6, 6, 6, 6, 6), strict=True):
        (tmp_path / name).mkdir()
        report = kill_repeatedly(jobs[name], tmp_path / name, kills, seed=1)
        assert report.kills == kills
        assert not report.faults
