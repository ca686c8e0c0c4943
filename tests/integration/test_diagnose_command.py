import re
from functools import partial

import pytest
from commands import run_command, train
from support import REPOSITORY, TINY, pairs

from torchreid_occ.cli import main as command

SETTINGS = {
    **TINY,
    "data.sources": "['occwalk_tiny']",
    "data.targets": "['occwalk_tiny']",
    "train.max_epoch": "1",
    "train.batch_size": "16",
}


diagnose = partial(run_command, "diagnose")


@pytest.fixture(scope="module")
def root(occwalk_root):
    return occwalk_root


def rows_of(output):
    return dict(re.findall(r"^\| ([^|]+) \| ([\d.]+) \|", output, re.MULTILINE))


@pytest.mark.slow
def test_oracles_of_a_trained_model(root, tmp_path):
    done = train(
        "--config-file", "configs/compare/rfcnet.yaml", "--root", root,
        *pairs(SETTINGS), "data.save_dir", tmp_path / "run",
    )  # fmt: skip
    trained = re.search(r"occwalk_tiny: mAP ([\d.]+)%", done.stdout)[1]
    done = diagnose(tmp_path / "run" / "model" / "model.pth.tar-1", "--root", root)
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout)
    assert rows["as it is"] == trained
    oracles = ("occluded frames dropped", "visible units pooled", "perfect completion")
    truths = ("true foreground", "true lines", "true foreground and lines")
    assert {*oracles, *truths, "clean frames", "residual", "hip row missed by"} <= rows.keys()


@pytest.mark.slow
def test_training_with_the_truth(root, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(
        f"_BASE_: {REPOSITORY}/configs/compare/rfcnet.yaml\n"
        "model: {pretrained: false}\n"
        "data: {sources: [occwalk_tiny], targets: [occwalk_tiny], height: 64, width: 32,"
        f" save_dir: {tmp_path}/run}}\n"
        "video: {seq_len: 2, stride: 2}\n"
        "train: {max_epoch: 1, batch_size: 12}\n"
    )
    done = diagnose("--train", config, "--truth", "lines", "--root", root, "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\| trained with true_lines \| [\d.]+ \|$", done.stdout, re.MULTILINE)
    assert (tmp_path / "run_true_lines" / "seed_7" / "model" / "model.pth.tar-1").is_file()


def test_one_of_the_two_is_named(capsys):
    with pytest.raises(SystemExit, match="2"):
        command(["diagnose"])
    assert "name either a CHECKPOINT or a configuration" in capsys.readouterr().err
