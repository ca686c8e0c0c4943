import pytest
from torch.utils.tensorboard import SummaryWriter

from torchreid_occ.config import load_config, plain
from torchreid_occ.runs.folder import outcome, read_curves, read_runs
from torchreid_occ.utils.files import write_json, write_text


def write_run(folder, *settings, **results):
    config = load_config(None, settings)
    write_text(folder / "config.yaml", config.dump())
    write_json(folder / "results.json", {"config": plain(config), **results})


def training(mAP):  # noqa: N803
    result = {"mAP": mAP, "cmc": {"1": mAP}}
    return {"targets": {"here": {"last": result, "selected": result}}}


def test_a_run_knows_the_checkpoint_a_user_takes(tmp_path):
    write_run(tmp_path, **training(0.5), epochs=20, selected_epoch=10)
    (run,) = read_runs(tmp_path)
    assert run.checkpoint == tmp_path / "model" / "model.pth.tar-10"
    assert run.results["targets"]["here"]["last"]["cmc"] == {1: 0.5}
    write_run(tmp_path, **training(0.5), epochs=20, selected_epoch=None)
    assert read_runs(tmp_path)[0].checkpoint.name == "model.pth.tar-20"
    only_tested = ("test.evaluate", "True", "model.load_weights", "other.pth")
    write_run(tmp_path, *only_tested, **training(0.5), epochs=20, selected_epoch=None)
    assert str(read_runs(tmp_path)[0].checkpoint) == "other.pth"


def test_phases_come_in_order_as_far_as_they_have_finished(tmp_path):
    phases = "[{'name': 'z'}, {'name': 'a'}, {'name': 'later'}]"
    write_text(tmp_path / "config.yaml", load_config(None, ["phases", phases]).dump())
    write_run(tmp_path / "a", **training(0.2))
    write_run(
        tmp_path / "z", "task", "score", threshold=0.89,
        localisation={"query": {"precision": 0.5, "recall": None}},
    )  # fmt: skip
    runs = read_runs(tmp_path)
    assert [run.name for run in runs] == ["z", "a"]
    assert [run.is_training for run in runs] == [False, True]
    assert outcome(runs[0]) == "regions below 0.890 are occluded, precision 50.0 %"


def test_folders_without_one_run_say_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no finished run in .*has a\s+results.json"):
        read_runs(tmp_path)
    write_run(tmp_path, **training(0.5))
    (tmp_path / "split_3").mkdir()
    with pytest.raises(ValueError, match=r"over splits: name one of \['split_3'\]"):
        read_runs(tmp_path)


def test_curves_are_of_training_and_validation(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        for step in (1, 2):
            writer.add_scalar("Train/loss", 4.0 / step, step)
            writer.add_scalar("Train/time", 9.0, step)
        writer.add_scalar("Val/mAP", 0.5, 1)
        writer.add_scalar("Test/here/mAP", 0.5, 1)
    assert read_curves(tmp_path) == {
        "loss": ([1, 2], [4.0, 2.0]),
        "validation mAP": ([1], [0.5]),
    }
