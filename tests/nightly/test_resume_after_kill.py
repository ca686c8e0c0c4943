import pytest
import torch
from commands import start_and_kill, train
from support import TINY, pairs

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(two_cameras, tmp_path, workers):
    settings = {**TINY, "train.max_epoch": "4", "train.checkpoint_freq": "1"}
    arguments = [
        "--config-file", "configs/baseline_resnet50.yaml", "-s", "sduvid",
        "--root", str(two_cameras), *pairs(settings), "data.workers", str(workers),
    ]  # fmt: skip
    train(*arguments, "data.save_dir", tmp_path / "whole")
    killed = tmp_path / "killed"
    resume = []
    for epoch in (0, 1, 2):
        checkpoint = killed / "model" / f"model.pth.tar-{epoch}"
        awaited = checkpoint if epoch else killed / "config.yaml"
        words = ["train", *arguments, "data.save_dir", str(killed), *resume]
        start_and_kill(words, awaited, pause=0.2)
        resume = ["--resume", str(killed)]
    # A kill in the midst of writing a checkpoint leaves such a file.
    (killed / "model" / ".model.pth.tar-3.x.partial").write_bytes(b"half")
    train("--resume", killed)
    expected = final_weights(tmp_path / "whole")
    found = final_weights(killed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert not list(killed.rglob(".*.partial"))


def final_weights(save_dir):
    return torch.load(save_dir / "model" / "model.pth.tar-4", weights_only=True)["state_dict"]
