"""A run that only tests asks for nothing of training; what a test can't do is said before one."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from small_backbone import SMALL_BACKBONE

from torchreid_occ.cli import main
from torchreid_occ.config import load_config, plain
from torchreid_occ.engine.evaluation import Features, distance_matrix
from torchreid_occ.runs import readiness, run
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.phases import run_config
from torchreid_occ.runs.testing import evaluate_checkpoint
from torchreid_occ.search import Gallery
from torchreid_occ.utils.checkpoint import load_checkpoint, save_checkpoint
from torchreid_occ.utils.documents import read_json

SMALL = {
    "model.name": "baseline",
    "model.options": f"{{'backbone': '{SMALL_BACKBONE}'}}",
    "model.pretrained": "False",
    "loss.name": "identity",
    "data.sources": "['tracklet_folder']",
    "data.height": "32",
    "data.width": "16",
    "data.workers": "0",
    "use_gpu": "False",
    "train.max_epoch": "1",
    "train.batch_size": "4",
    "sampler.num_instances": "2",
    "video.seq_len": "2",
    "test.select": "last",
}


def write(root, subset, persons, cameras, frames=2):
    rng = np.random.default_rng(0)
    for person in persons:
        for camera in cameras:
            folder = root / subset / person / str(camera)
            folder.mkdir(parents=True)
            for number in range(frames):
                pixels = rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")


def config_of(root, **settings):
    settings = {name.replace("__", "."): str(value) for name, value in settings.items()}
    own = {"data.root": str(root), "data.save_dir": str(root / "run")}
    pairs = {**SMALL, **own, **settings}
    return load_config(None, [word for pair in pairs.items() for word in pair])


@pytest.fixture
def target(tmp_path):
    """Four people in query and gallery; nothing to train on."""
    write(tmp_path, "query", "abcd", [1])
    write(tmp_path, "gallery", "abcd", [2])
    return tmp_path


@pytest.fixture
def checkpoint(tmp_path):
    config = config_of(tmp_path / "elsewhere")
    model, _ = backend_of(config).build_model(9)
    content = {"config": plain(config), "num_classes": 9, "state_dict": model.state_dict()}
    path = tmp_path / "trained" / "model" / "model.pth.tar-1"
    save_checkpoint(content, path)
    return path


def mean_ap(root, checkpoint, **settings):
    settings |= {"test__evaluate": True, "model__load_weights": checkpoint}
    (target,) = run_config(config_of(root, **settings))["targets"].values()
    return target["last"]["mAP"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"test__select": "val"},  # asks for held-out identities
        {"train__batch_size": 2, "sampler__num_instances": 4},  # a sampler that can't be filled
        {"data__sources": "['occwalk_tiny']", "data__targets": "['tracklet_folder']"},
        {"data__sources": "['mars']", "data__targets": "['tracklet_folder']"},  # is not there
        {"loss__name": "absent"},
        {"loss__name": "rfcnet"},  # reads supervision that is not loaded
        {"data__supervision": "['foreground']"},  # of which the target has none
        {"data__combineall": True},
    ],
    ids=str,
)
def test_a_test_alone_needs_nothing_of_training(target, checkpoint, settings):
    assert 0 < mean_ap(target, checkpoint, **settings) <= 1


def test_a_test_alone_with_a_training_set_gives_the_same(target, checkpoint):
    alone = mean_ap(target, checkpoint)
    write(target, "train", "xy", [1, 2])
    assert mean_ap(target, checkpoint, data__save_dir=target / "again") == alone


def test_torchreids_engine_tests_a_target_alone(target, tmp_path):
    settings = {"engine": "torchreid", "loss__name": "softmax", "test__select": "val"}
    results = run_config(config_of(target, test__evaluate=True, **settings))
    assert 0 < results["targets"]["tracklet_folder"]["last"]["mAP"] <= 1


def test_training_without_a_training_set_is_refused(target):
    with pytest.raises(ValueError, match="can be tested on, but not trained on"):
        run_config(config_of(target))


@pytest.mark.parametrize("metric", ["kissme", "xqda"])
def test_a_learned_distance_still_reads_the_training_set(target, checkpoint, metric):
    write(target, "train", "wxyz", [1, 2])
    settings = {"test__dist_metric": metric, "test__select": "val"}
    assert 0 < mean_ap(target, checkpoint, **settings) <= 1


def test_the_command_tests_a_checkpoint_alone(target, checkpoint, capsys):
    words = ["test", str(checkpoint), "-t", "tracklet_folder", "--root", str(target)]
    main(words)
    assert "tracklet_folder: mAP " in capsys.readouterr().out
    folder = checkpoint.parents[1] / "test" / "tracklet_folder" / "model.pth.tar-1"
    results = read_json(folder / "results.json")
    assert results["config"]["model"]["options"] == {"backbone": SMALL_BACKBONE}
    assert not list(folder.rglob("model.pth*"))
    main(words)
    shown = capsys.readouterr().out
    assert f"This test is already there, in {folder}." in shown
    assert f"mAP {results['targets']['tracklet_folder']['last']['mAP']:.1%}" in shown
    with pytest.raises(SystemExit, match=r"holds a test with other settings: choose another"):
        main([*words, "test.rerank", "True"])
    main([*words, "test.rerank", "True", "data.save_dir", str(target / "reranked")])
    assert (target / "reranked" / "results.json").is_file()


def test_a_checkpoint_that_was_written_again_is_tested_again(target, checkpoint):
    def tested():
        done = evaluate_checkpoint(checkpoint, root=target)
        return done.results["targets"]["tracklet_folder"]["last"]["mAP"], done.was_there

    first, was_there = tested()
    assert not was_there
    assert tested() == (first, True)
    state = load_checkpoint(checkpoint)
    for value in state["state_dict"].values():
        value.zero_()
    save_checkpoint(state, checkpoint)
    again, was_there = tested()
    assert not was_there
    assert again != first


def test_the_command_names_a_file_that_is_no_checkpoint_of_a_run(tmp_path):
    path = tmp_path / "page.pth"
    path.write_text("<html>quota</html>")
    with pytest.raises(SystemExit, match="is a web page"):
        main(["test", str(path)])


@pytest.mark.parametrize("key", ["model.load_weights", "model.start_from", "model.pretrained"])
def test_a_missing_checkpoint_is_told_before_data_are_loaded(tmp_path, monkeypatch, key):
    monkeypatch.setattr(run, "torchreid", None)  # the seed is set just before data are loaded
    root = tmp_path / "no data"
    with pytest.raises(FileNotFoundError, match=rf"{key} is .*absent\.pth, but there is no such"):
        run_config(config_of(root, **{key.replace(".", "__"): tmp_path / "absent.pth"}))
    page = tmp_path / "page.pth"
    page.write_text("<html>quota</html>")
    with pytest.raises(ValueError, match=rf"{key} is .*page\.pth, which is a web page"):
        run_config(config_of(root, **{key.replace(".", "__"): page}))


def test_a_missing_checkpoint_of_a_later_phase_is_told_first(tmp_path):
    phases = "[{'name': 'one'}, {'name': 'two', 'model': {'load_weights': 'absent.pth'}}]"
    with pytest.raises(FileNotFoundError, match=r"model\.load_weights is absent\.pth"):
        run_config(config_of(tmp_path, phases=phases))
    assert not (tmp_path / "run" / "one").exists()


@pytest.mark.parametrize("words", [["index", "g", "-s", "mars"], ["query", "g", "--image", "x"]])
def test_a_missing_checkpoint_of_a_search_is_told_first(tmp_path, words):
    Gallery.create(tmp_path / "g", "a1" * 32, 4)
    words[1] = str(tmp_path / "g")
    with pytest.raises(SystemExit, match=r"There is no checkpoint absent\.pth"):
        main(["search", *words, "--checkpoint", "absent.pth"])


def test_a_finished_run_is_already_there(target, capsys):
    write(target, "train", "wxyz", [1, 2])
    first = run_config(config_of(target))
    capsys.readouterr()
    assert run_config(config_of(target), resume=True) == read_json(
        target / "run" / "results.json"
    ) | {"targets": first["targets"]}
    assert "its results are already there" in capsys.readouterr().out
    run_config(config_of(target, test__rerank=True), resume=True)
    assert read_json(target / "run" / "results.json")["config"]["test"]["rerank"] is True


@pytest.mark.parametrize("test_only", [True, False])
def test_unmatched_queries_are_said_before_training(tmp_path, monkeypatch, test_only):
    write(tmp_path, "train", "wxyz", [1, 2])
    write(tmp_path, "query", "abc", [1])
    write(tmp_path, "gallery", "abc", [1])
    with pytest.raises(ValueError, match=r"none of its 3 queries .* \(3 have one in their own"):
        run_config(config_of(tmp_path, test__evaluate=test_only))
    assert not list((tmp_path / "run").rglob("model.pth*"))


def test_identities_that_query_and_gallery_do_not_share_are_said(tmp_path):
    write(tmp_path, "train", "wxyz", [1, 2])
    write(tmp_path, "query", "abc", [1])
    write(tmp_path, "gallery", "def", [2])
    with pytest.raises(ValueError, match=r"none of its 3 queries .* \(0 have one in their own"):
        run_config(config_of(tmp_path))


@pytest.mark.parametrize("metric", ["kissme", "xqda"])
@pytest.mark.parametrize(
    ("people", "lacking"), [({"wx": [1], "yz": [2]}, "one"), ({"w": [1, 2]}, "two")]
)
def test_a_learned_distance_without_pairs_is_said_before_training(target, metric, people, lacking):
    for names, cameras in people.items():
        write(target, "train", names, cameras)
    with pytest.raises(ValueError, match=rf"learns from pairs .* no such pair of {lacking} ident"):
        readiness.check_test(
            config_of(target, test__dist_metric=metric),
            backend_of(config_of(target, loss__name="identity", train__batch_size=2,
                                 sampler__train_sampler="RandomSampler")).build_datamanager(),
        )  # fmt: skip


def test_a_target_that_fails_leaves_the_others_results(tmp_path, two_cameras):
    """A damaged gallery image is found when it is read, after the training."""
    (tmp_path / "SDU-VID").symlink_to(two_cameras / "SDU-VID")
    write(tmp_path, "train", "wxyz", [1, 2])
    write(tmp_path, "query", "abcd", [1])
    write(tmp_path, "gallery", "abcd", [2])
    damaged = tmp_path / "gallery" / "b" / "2" / "1.png"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:60])
    settings = {"data__targets": "['tracklet_folder', 'sduvid']", "data__verify": False}
    with pytest.raises(ValueError, match=r"1\.png"):
        run_config(config_of(tmp_path, **settings))
    results = read_json(tmp_path / "run" / "results.json")
    assert "sduvid" in results["targets"] and "tracklet_folder" not in results["targets"]
    assert "1.png" in results["failed"]["tracklet_folder"]
    damaged.write_bytes(content)
    done = run_config(config_of(tmp_path, **settings), resume=True)
    assert {*done["targets"]} == {"tracklet_folder", "sduvid"}
    assert "failed" not in json.loads((tmp_path / "run" / "results.json").read_text())


def features(values):
    values = np.asarray(values, np.float32)
    return Features(torch.from_numpy(values), np.arange(len(values)), np.arange(len(values)))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_collapsed_features_are_not_called_infinite(metric):
    query, gallery = features(np.full((3, 4), 0.5)), features(np.full((6, 4), 0.5))
    with pytest.raises(ValueError, match="features are finite, but have collapsed to one point"):
        distance_matrix(query, gallery, metric, rerank=True)


def test_features_that_are_too_large_to_be_re_ranked_are_said():
    rng = np.random.default_rng(0)
    query, gallery = (features(1e15 * rng.normal(size=(n, 4))) for n in (3, 6))
    with pytest.raises(ValueError, match=r"too large to be squared.*normalize_feature"):
        distance_matrix(query, gallery, "euclidean", rerank=True)
    distance_matrix(query, gallery, "euclidean", normalize_feature=True, rerank=True)


def test_features_that_are_not_finite_are_said():
    query, gallery = features(np.full((3, 4), np.nan)), features(np.ones((6, 4)))
    with pytest.raises(ValueError, match="features are not finite"):
        distance_matrix(query, gallery, "cosine", rerank=True)
