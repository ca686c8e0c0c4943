"""VRSTC's phases as one command, whole and killed in each."""

import json

import pytest
import torch
from commands import start_and_kill, train
from support import TINY, pairs

PHASES = ["pretrain", "score", "stcnet", "complete", "reid"]
SETTINGS = {
    **TINY,
    "data.workers": "0",
    "train.checkpoint_freq": "1",
    "train.batch_size": "4",
    "completion.height": "32",
    "completion.width": "16",
    "completion.generator": "{'width': 4}",
    "completion.discriminator": "{'channels': [4, 4, 4, 4, 4, 4]}",
    "completion.quantile": "0.2",
    "phases.stcnet.train.max_iter": "8",  # ends within the second epoch
}


def arguments(root, folder):
    return [
        "--config-file", "configs/vrstc.yaml", "-s", "sduvid", "--root", str(root),
        *pairs(SETTINGS), "data.save_dir", str(folder),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def finished(two_cameras, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vrstc") / "run"
    train(*arguments(two_cameras, folder))
    return folder


def test_each_phase_leaves_what_it_made(finished):
    found = {name: json.loads((finished / name / "results.json").read_text()) for name in PHASES}
    assert (finished / "score" / "scores.png").stat().st_size > 1000
    assert 0.15 < sum(found["score"]["flagged"]["train"].values()) / 3 < 0.25
    assert found["stcnet"]["completion"].keys() == {"spatial", "temporal"}
    trained = torch.load(finished / "stcnet" / "model" / "model.pth.tar-2", weights_only=True)
    assert (found["stcnet"]["epochs"], trained["step"]) == (2, 8)
    manifest = json.loads((finished / "complete" / "copy" / "manifest.json").read_text())
    assert manifest["made_by"]["threshold"] == found["score"]["threshold"]
    assert sum(manifest["changed"].values()) > 0
    assert found["reid"]["config"]["data"]["sources"] == ["completed"]
    assert 0 <= found["reid"]["targets"]["completed"]["last"]["mAP"] <= 1


def test_finished_phases_are_not_run_again(two_cameras, finished):
    def made():
        files = [path for path in finished.rglob("*") if path.name != "run.log" and path.is_file()]
        return {path: path.stat().st_mtime_ns for path in files}

    before = made()
    done = train(*arguments(two_cameras, finished), "--resume", finished)
    assert all(f"Phase {name} has finished before." in done.stdout for name in PHASES)
    assert made() == before


def test_a_phase_alone_says_what_it_lacks(two_cameras, tmp_path):
    alone = arguments(two_cameras, tmp_path / "run")
    done = train(*alone, "--phase", "score", check=False)
    assert done.returncode == 1
    assert "completion.extractor is" in done.stderr and "there is no such file" in done.stderr
    done = train(*alone, "--phase", "scores", check=False)
    assert "There is no phase 'scores'" in done.stderr


def test_a_dry_run_prints_every_phase(two_cameras, tmp_path):
    done = train(*arguments(two_cameras, tmp_path / "run"), "--dry-run")
    assert [line for line in done.stdout.splitlines() if line.startswith("# phase")] == [
        f"# phase {name}" for name in PHASES
    ]
    assert not (tmp_path / "run").exists()


def test_a_guider_of_other_identities_is_refused(two_cameras, finished, tmp_path):
    state = torch.load(finished / "pretrain" / "model" / "model.pth.tar-2", weights_only=True)
    for name in ("classifier.weight", "classifier.bias"):
        state["state_dict"][name] = state["state_dict"][name][:3]
    torch.save({**state, "num_classes": 3}, tmp_path / "guider.pth")
    done = train(
        *arguments(two_cameras, tmp_path / "run"), "phases", "[]", "task", "train_completion",
        "completion.scores", finished / "score" / "scores.csv",
        "completion.guider", tmp_path / "guider.pth", check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "knows 3 identities, but 4 are trained on" in done.stderr
    done = train(
        *arguments(two_cameras, tmp_path / "other"), "phases", "[]", "task", "train_completion",
        "completion.discriminators", "['near']", check=False,
    )  # fmt: skip
    assert "completion.discriminators are ['near'], but may be ['local', 'global']" in done.stderr


@pytest.mark.slow
def test_a_run_killed_in_every_phase_ends_with_the_same_weights(two_cameras, finished, tmp_path):
    folder = tmp_path / "run"
    words = arguments(two_cameras, folder)
    awaited = {
        "pretrain": "model/model.pth.tar-1",
        "score": "config.yaml",
        "stcnet": "model/model.pth.tar-1",
        "complete": "copy/plan.json",
        "reid": "model/model.pth.tar-1",
    }
    resume = []
    for phase, file in awaited.items():
        start_and_kill(["train", *words, *resume], folder / phase / file)
        resume = ["--resume", str(folder)]
    train(*words, *resume)
    for phase in ("pretrain", "stcnet", "reid"):
        found, expected = (
            torch.load(run / phase / "model" / "model.pth.tar-2", weights_only=True)["models"]
            for run in (folder, finished)
        )
        for name in expected:
            one, other = found[name]["state_dict"], expected[name]["state_dict"]
            assert all(torch.equal(one[key], value) for key, value in other.items())
    scores = [(run / "score" / "scores.csv").read_bytes() for run in (folder, finished)]
    assert scores[0] == scores[1]
