import json

import pytest
from torch.utils.tensorboard import SummaryWriter

from torchreid_occ.config import load_config, plain
from torchreid_occ.runs.folder import (
    changed_sources,
    check_save_dir,
    finished_run,
    outcome,
    product_of,
    read_curves,
    read_results,
    read_runs,
    write_config,
    write_results,
)
from torchreid_occ.utils.files import write_json, write_text


def write_run(folder, *settings, **results):
    config = load_config(None, settings)
    write_text(folder / "config.yaml", config.dump())
    write_json(folder / "results.json", {"config": plain(config), **results})


def training(mAP):  # noqa: N803
    result = {"mAP": mAP, "cmc": {"1": mAP}}
    return {"targets": {"here": {"last": result, "selected": result}}}


def test_the_chosen_checkpoint_of_a_run(tmp_path):
    write_run(tmp_path, **training(0.5), epochs=20, selected_epoch=10)
    (run,) = read_runs(tmp_path)
    assert run.checkpoint == tmp_path / "model" / "model.pth.tar-10"
    assert run.results["targets"]["here"]["last"]["cmc"] == {1: 0.5}
    write_run(tmp_path, **training(0.5), epochs=20, selected_epoch=None)
    assert read_runs(tmp_path)[0].checkpoint.name == "model.pth.tar-20"
    only_tested = ("test.evaluate", "True", "model.load_weights", "other.pth")
    write_run(tmp_path, *only_tested, **training(0.5), epochs=20, selected_epoch=None)
    assert str(read_runs(tmp_path)[0].checkpoint) == "other.pth"


@pytest.mark.parametrize(
    ("settings", "results", "product"),
    [
        ([], None, "model/model.pth.tar-7"),
        ([], {"selected_epoch": 4, "epochs": 7}, "model/model.pth.tar-4"),
        # A training that counts steps records how many epochs they took.
        (["train.max_iter", "9"], {"selected_epoch": None, "epochs": 2}, "model/model.pth.tar-2"),
        (["task", "score"], None, "scores.csv"),
        (["task", "copy"], None, "copy"),
        (["task", "train_completion"], {"epochs": 3}, "model/model.pth.tar-3"),
    ],
)
def test_the_product_of_each_task(tmp_path, settings, results, product):
    save = ["data.save_dir", str(tmp_path), "train.max_epoch", "7"]
    config = load_config(None, [*save, *settings])
    if results is not None:
        write_results(tmp_path, {"config": plain(config), **results})
    assert product_of(config) == tmp_path / product


def test_the_product_of_a_test_is_the_checkpoint_it_tests(tmp_path):
    save = ["data.save_dir", str(tmp_path), "test.evaluate", "True"]
    config = load_config(None, [*save, "model.load_weights", "other.pth"])
    assert str(product_of(config)) == "other.pth"


def test_a_run_has_finished_if_it_was_of_this_configuration(tmp_path):
    config = load_config(None, ["data.save_dir", str(tmp_path)])
    assert finished_run(config) is None
    write_results(tmp_path, {"config": plain(config), "epochs": 150})
    assert finished_run(config)["epochs"] == 150
    save = ["data.save_dir", str(tmp_path)]
    assert finished_run(load_config(None, [*save, "data.workers", "7"]))["epochs"] == 150
    assert finished_run(load_config(None, [*save, "train.max_epoch", "151"])) is None
    assert finished_run(load_config(None, [*save, "train.lr", "0.5"])) is None


def test_results_that_are_none_are_refused(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"config": {}}))
    with pytest.raises(ValueError, match="does not hold the results of a run"):
        read_results(tmp_path)


def test_a_run_in_phases_is_continued_where_it_was_moved_to(tmp_path):
    def config(folder, start):
        own = ["data.save_dir", f"{folder}/align", "model.pretrained", start]
        return load_config(None, own)

    began = config(tmp_path / "run", f"{tmp_path}/run/clean/model/model.pth.tar-1")
    write_config(began)
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    check_save_dir(config(moved, f"{moved}/clean/model/model.pth.tar-1"), resume=True)
    for other in (f"{moved}/clean/model/model.pth.tar-2", "clean/model/model.pth.tar-1", True):
        with pytest.raises(ValueError, match=r"another configuration: model\.pretrained was"):
            check_save_dir(config(moved, str(other)), resume=True)


def test_a_run_is_continued_only_as_itself(tmp_path):
    save = ["data.save_dir", str(tmp_path)]
    config = load_config(None, save)
    check_save_dir(config, resume=False)
    write_config(config)
    (tmp_path / ".model.partial").write_text("half")
    check_save_dir(load_config(None, [*save, "train.max_epoch", "9"]), resume=True)
    assert not (tmp_path / ".model.partial").exists()
    with pytest.raises(
        ValueError, match=r"another configuration: train\.lr was 0\.0003 and is 0\.1"
    ):
        check_save_dir(load_config(None, [*save, "train.lr", "0.1"]), resume=True)
    longer = ["train.max_epoch", "9", "train.lr_scheduler", "cosine"]
    with pytest.raises(ValueError, match=r"train\.max_epoch was 150 and is 9"):
        check_save_dir(load_config(None, [*save, *longer]), resume=True)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.pth.tar-8").touch()
    shorter = load_config(None, [*save, "train.max_epoch", "7"])
    with pytest.raises(ValueError, match="trained for 8 epochs already, but"):
        check_save_dir(shorter, resume=True)
    check_save_dir(load_config(None, [*save, "train.max_epoch", "8"]), resume=True)
    (tmp_path / "split_0").mkdir()
    with pytest.raises(FileExistsError, match="continue it with resume=True"):
        check_save_dir(config, resume=False)
    with pytest.raises(ValueError, match="a run over splits: continue it by run_splits"):
        check_save_dir(config, resume=True)
    check_save_dir(config, resume=True, over_splits=True)


def test_sources_that_have_changed_are_named(tmp_path):
    sources = {name: tmp_path / name for name in ("a", "b")}
    phase = tmp_path / "phase"
    assert changed_sources(phase, sources) == []
    assert not phase.exists()
    for folder in sources.values():
        write_results(folder, {"epochs": 1})
    assert changed_sources(phase, sources) == []
    assert json.loads((phase / "made_from.json").read_text()).keys() == {"a", "b"}
    write_results(sources["b"], {"epochs": 2})
    assert changed_sources(phase, sources) == ["b"]


def test_finished_phases_are_read_in_order(tmp_path):
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


def test_folders_without_a_single_run_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no finished run in .*has a\s+results.json"):
        read_runs(tmp_path)
    write_run(tmp_path, **training(0.5))
    (tmp_path / "split_3").mkdir()
    with pytest.raises(ValueError, match=r"over splits: name one of \['split_3'\]"):
        read_runs(tmp_path)


def test_curves_of_training_and_validation_are_read(tmp_path):
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
