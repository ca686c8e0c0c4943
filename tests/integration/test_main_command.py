import json
import os
import re
import shutil

import pytest
import torch
import yaml
from commands import train
from support import REPOSITORY, TINY, pairs

from torchreid_occ.cli import main as command

UNREACHABLE = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def finished(two_cameras, tmp_path_factory):
    save_dir = tmp_path_factory.mktemp("run") / "baseline"
    done = train(
        "--config-file", "configs/baseline_resnet50.yaml",
        "-s", "sduvid", *pairs(TINY), "data.save_dir", save_dir, "--root", two_cameras,
    )  # fmt: skip
    return save_dir, done


def test_a_run_leaves_all_that_its_numbers_can_be_traced_by(finished):
    save_dir, _ = finished
    results = json.loads((save_dir / "results.json").read_text())
    assert results["targets"].keys() == {"sduvid"}
    for checkpoint in ("last", "selected"):
        result = results["targets"]["sduvid"][checkpoint]
        assert 0 < result["mAP"] <= 1
        assert list(result["cmc"]) == ["1", "5", "10", "20"]
    assert results["pretrained"] is False
    assert results["initial_weights"] is None
    assert results["seed"] == 1
    assert results["seconds"] > results["training_seconds"] > 0
    assert results["inference"]["frames"] > 0
    assert results["inference"]["frames_per_second"] > 0
    assert results["versions"]["torch"] == torch.__version__.split("+")[0]
    assert results["versions"]["commit"]
    assert results["hardware"]["cores"] == os.cpu_count()
    assert results["cost"]["iterations"] == 2
    assert results["config"]["data"]["sources"] == ["sduvid"]
    resolved = yaml.safe_load((save_dir / "config.yaml").read_text())
    assert resolved == results["config"]
    assert "rank-1" in (save_dir / "run.log").read_text()
    assert list(save_dir.glob("events.out.tfevents.*"))
    checkpoint = torch.load(save_dir / "model" / "model.pth.tar-2", weights_only=True)
    assert checkpoint["config"] == resolved
    assert checkpoint["num_classes"] == 4


def test_a_second_run_does_not_overwrite_the_first(finished, two_cameras):
    save_dir, _ = finished
    assert json.loads((save_dir / "results.json").read_text())["seconds"] > 0
    before = (save_dir / "results.json").read_bytes()
    arguments = (
        "--config-file", "configs/baseline_resnet50.yaml", "--root", two_cameras,
        "-s", "sduvid", *pairs(TINY), "data.save_dir", save_dir,
    )  # fmt: skip
    again = train(*arguments, check=False)
    assert again.returncode == 1
    assert f"{save_dir} holds a run already: continue it with resume=True" in again.stderr
    assert "On the command line: --resume DIR." in again.stderr
    other = train(*arguments, "--resume", save_dir, "train.lr", "0.1", check=False)
    assert "another configuration: train.lr was 0.0003 and is 0.1" in other.stderr
    assert (save_dir / "results.json").read_bytes() == before


def test_a_finished_run_can_be_trained_further(finished, tmp_path):
    copy = shutil.copytree(finished[0], tmp_path / "copy")
    done = train("--resume", copy, "train.max_epoch", "3")
    assert "Resumed after epoch 2" in done.stdout
    assert (copy / "model" / "model.pth.tar-3").is_file()


def test_weights_of_a_checkpoint_are_tested_as_they_are(finished, two_cameras, tmp_path):
    save_dir, _ = finished
    results = json.loads((save_dir / "results.json").read_text())
    train(
        "--config-file", save_dir / "config.yaml", "data.save_dir", tmp_path / "test",
        "test.evaluate", "True", "model.load_weights", save_dir / "model" / "model.pth.tar-2",
    )  # fmt: skip
    again = json.loads((tmp_path / "test" / "results.json").read_text())
    assert again["targets"]["sduvid"]["last"]["mAP"] == pytest.approx(
        results["targets"]["sduvid"]["last"]["mAP"]
    )
    assert not (tmp_path / "test" / "model").exists()


def test_dry_run_prints_configuration_and_cost_and_writes_nothing(two_cameras, tmp_path):
    done = train(
        "--config-file", "configs/baseline_resnet50.yaml", "--dry-run", "-s", "sduvid",
        "--root", two_cameras, *pairs(TINY), "data.save_dir", tmp_path / "run",
    )  # fmt: skip
    assert yaml.safe_load(done.stdout.split("\n\n")[0])["train"]["max_epoch"] == 2
    assert re.search(r"2,798,880 parameters, 0\.\d\d GMACs a clip, 2 iterations", done.stdout)
    assert not (tmp_path / "run").exists()


def test_phases_run_on_each_split(two_cameras, tmp_path):
    config = tmp_path / "phases.yaml"
    config.write_text(
        f"_BASE_: {REPOSITORY}/configs/baseline_resnet50.yaml\n"
        "phases:\n"
        "  - {name: first}\n"
        "  - {name: second, take: {model.start_from: first}}\n"
    )
    train(
        "--config-file", config, "--root", two_cameras, "-s", "sduvid", "--splits", "1", "3",
        *pairs(TINY), "train.max_epoch", "1", "data.save_dir", tmp_path / "run",
    )  # fmt: skip
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    each = [run["targets"]["sduvid"]["last"]["mAP"] for run in results["runs"]]
    for split, found in zip((1, 3), each, strict=True):
        second = tmp_path / "run" / f"split_{split}" / "second" / "results.json"
        assert json.loads(second.read_text())["targets"]["sduvid"]["last"]["mAP"] == found
    assert results["targets"]["sduvid"]["last"]["mAP"]["mean"] == pytest.approx(sum(each) / 2)


@pytest.mark.slow
def test_ten_splits_are_averaged(two_cameras, tmp_path):
    train(
        "--config-file", "configs/baseline_resnet50.yaml", "-s", "sduvid", "--root", two_cameras,
        "--splits", "all", *pairs(TINY), "train.max_epoch", "1", "data.save_dir", tmp_path,
        "data.workers", "0",
    )  # fmt: skip
    results = json.loads((tmp_path / "results.json").read_text())
    each = [run["targets"]["sduvid"]["last"]["mAP"] for run in results["runs"]]
    assert results["splits"] == list(range(10)) and len(each) == 10
    averaged = results["targets"]["sduvid"]["last"]["mAP"]
    assert averaged["mean"] == pytest.approx(sum(each) / 10)
    assert averaged["std"] == pytest.approx(torch.tensor(each).std().item(), rel=1e-4)
    assert [run["config"]["data"]["split_id"] for run in results["runs"]] == list(range(10))
    # Without a third split it can be completed, and the others are not trained again.
    shutil.rmtree(tmp_path / "split_2")
    kept = (tmp_path / "split_1" / "results.json").read_bytes()
    train("--resume", tmp_path, "--splits", "all")
    assert json.loads((tmp_path / "results.json").read_text())["targets"] == results["targets"]
    assert (tmp_path / "split_1" / "results.json").read_bytes() == kept
    alone = train("--resume", tmp_path, check=False)
    assert "holds a run over splits: continue it by run_splits" in alone.stderr
    assert "On the command line: --splits." in alone.stderr
    beyond = train("--resume", tmp_path, "--splits", "3", "10", check=False)
    assert "Splits are [3, 10], but there are [0, 1, 2" in beyond.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-s", "sduvid", "--root", "nowhere"], "SDU-VID"),
        (["-s", "sdvid", "use_gpu", "False"], 'Received dataset "sdvid"'),
        (["--resume", "log/gone"], "There is no run in log/gone to be continued"),
        (["train.stepsize", "['x']"], "train.stepsize is ['x'], but must be a list like [40]"),
        (["model.name", "rfc"], "model.name is 'rfc', but must be one of"),
        (["model.options.backbon", "x"], "model.options has no ['backbon']"),
        (["-t", "sduvid", "occwalk.clean", "use_gpu", "False"], 'Received dataset "occwalk.clean"'),
        (["loss.name", "rfcnet"], "add ['foreground', 'keypoints']"),
        (["train.batch_size"], "pairs KEY VALUE"),
    ],
)
def test_mistakes_end_in_one_clear_line(two_cameras, tmp_path, arguments, message, capsys):
    words = [
        "train", "--config-file", "configs/baseline_resnet50.yaml",
        "data.save_dir", tmp_path / "run", "model.pretrained", "False",
        "-s", "sduvid", "--root", two_cameras, *arguments,
    ]  # fmt: skip
    with pytest.raises(SystemExit) as end:
        command([*map(str, words)])
    assert end.value.code.startswith("error: ") and message in end.value.code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("pretrained", ["auto", "True"])
def test_weights_that_can_not_be_had(two_cameras, tmp_path, pretrained):
    settings = {**TINY, "model.options.backbone": "resnet18", "train.max_epoch": "1"}
    done = train(
        "--config-file", "configs/baseline_resnet50.yaml", "-s", "sduvid", "--root", two_cameras,
        *pairs({**settings, "model.pretrained": pretrained}),
        "data.save_dir", tmp_path / "run", check=False,
        env={**os.environ, **UNREACHABLE, "TORCH_HOME": str(tmp_path)},
    )  # fmt: skip
    if pretrained == "auto":
        assert "NO IMAGENET WEIGHTS" in done.stderr
        results = json.loads((tmp_path / "run" / "results.json").read_text())
        assert results["pretrained"] is False
    else:
        assert done.returncode == 1
        assert "model.pretrained False" in done.stderr
