"""Two processes that form a group, as those of torchrun do, train as one does."""

import json

import pytest
import torch
from commands import run_in_processes, train
from support import REPOSITORY, TINY, pairs
from torch import distributed

from torchreid_occ.config import load_config
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.runs.phases import run_config

SCRIPT = REPOSITORY / "tests" / "integration" / "train_in_processes.py"


@pytest.fixture(scope="module")
def trained(occwalk_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    found = []
    for processes in (1, 2):
        out = folder / f"{processes}.pth"
        for done in run_in_processes(processes, SCRIPT, occwalk_root, out):
            assert done.returncode == 0, done.stderr
        found.append(torch.load(out, weights_only=True))
    return found


def test_losses_and_weights_are_those_of_one_process(trained):
    one, two = trained
    assert len(one["losses"]) == len(two["losses"]) == 2
    for alone, shared in zip(one["losses"], two["losses"], strict=True):
        assert shared == pytest.approx(alone, rel=1e-5)
    assert one["losses"][0]["triplet"] > 0
    for name, value in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], value, rtol=1e-4, atol=1e-6)


def test_each_tracklet_is_read_once_and_its_feature_is_in_its_place(trained, occwalk_root):
    one, two = trained
    torch.testing.assert_close(two["features"], one["features"], rtol=1e-3, atol=1e-5)
    gallery = tracklets_of(load_dataset("occwalk_tiny", occwalk_root))["gallery"]
    expected = [paths[0] for paths, *_ in gallery]
    assert two["read"] == [expected[0::2], expected[1::2]]
    assert len(two["single"]) == 1  # fewer tracklets than processes
    torch.testing.assert_close(two["single"], two["features"][:1], rtol=1e-3, atol=1e-5)


def test_the_command_trains_and_one_process_continues(two_cameras, tmp_path):
    settings = {**TINY, "data.root": two_cameras, "data.save_dir": tmp_path, "data.workers": 0}
    words = ["--config-file", "configs/baseline_resnet50.yaml", "-s", "sduvid", *pairs(settings)]
    ranks = run_in_processes(2, "tools/main.py", *words, "train.max_epoch", 1)
    assert [done.returncode for done in ranks] == [0, 0], ranks
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["hardware"]["processes"] == 2
    assert ["Evaluating sduvid" in done.stdout for done in ranks] == [True, False]
    done = train(*words, "--resume", tmp_path)
    assert "Resumed after epoch 1" in done.stdout
    assert json.loads((tmp_path / "results.json").read_text())["epochs"] == 2


@pytest.mark.parametrize(
    ("config", "words", "message"),
    [
        (
            "baseline_resnet50",
            ["train.batch_size", 7, "sampler.num_instances", 1],
            "can't be shared by 2 processes",
        ),
        ("baseline_resnet50", ["task", "score"], "Task 'score' runs in one process"),
        ("baseline_torchreid_resnet50", [], "which trains in one process"),
    ],
)
def test_what_can_not_be_shared_is_refused(
    config, words, message, occwalk_root, tmp_path, monkeypatch
):
    settings = {"data.root": occwalk_root, "data.save_dir": tmp_path, "model.pretrained": False}
    overrides = [*map(str, words), *map(str, pairs(settings))]
    config = load_config(REPOSITORY / "configs" / f"{config}.yaml", overrides)
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(distributed, "barrier", lambda: None)
    with pytest.raises(ValueError, match=message):
        run_config(config)
