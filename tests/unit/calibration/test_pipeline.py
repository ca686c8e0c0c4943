import numpy as np
import pytest
import torch
from PIL import Image

from torchreid_occ.calibration import LabelledFeatures, calibrate, load_calibration, pipeline
from torchreid_occ.cli.command import main
from torchreid_occ.config import load_config
from torchreid_occ.data.datasets import dataset_class


class Colours:
    """Stands for a model: the feature of a tracklet is the mean of its pixels."""

    checkpoint_hash = "abc"
    settings = ()

    def __init__(self, checkpoint):
        self.checkpoint = checkpoint
        self.config = load_config(None, self.settings)

    def __call__(self, tracklets):
        means = [
            np.mean([np.asarray(Image.open(f)) for f in frames], (0, 1, 2)) for frames in tracklets
        ]
        return torch.tensor(np.stack(means) - 128, dtype=torch.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Writes people of one colour each: query in camera 1, gallery in 2; some to train on."""
    monkeypatch.setattr(pipeline, "TrackletExtractor", Colours)
    rng = np.random.default_rng(0)

    def write(part, people, cameras):
        for person in people:
            colour = rng.integers(40, 215, 3)
            for camera in cameras:
                pixels = np.clip(colour + rng.normal(0, 12, (8, 4, 3)), 0, 255).astype(np.uint8)
                path = tmp_path / "data" / part[camera] / f"{person}" / f"{camera}" / "1.png"
                path.parent.mkdir(parents=True)
                Image.fromarray(pixels).save(path)

    write({1: "query", 2: "gallery"}, range(44), (1, 2))
    write({1: "train", 2: "train"}, range(100, 120), (1, 2))
    return tmp_path


def test_the_file_is_written_beside_the_checkpoint(folder):
    made = calibrate(folder / "model.pth", "tracklet_folder", folder / "data", rate=0.1)
    found = load_calibration(folder / "model.pth.calibration.npz")
    assert found.about == made.about
    assert {key: found.about[key] for key in ("identities", "queries", "gallery", "cohort")} == {
        "identities": 44, "queries": 44, "gallery": 44, "cohort": 40,
    }  # fmt: skip
    assert found.checkpoint_hash == "abc"


def test_without_training_people_half_of_the_others_are_the_cohort(folder, monkeypatch):
    for path in sorted((folder / "data" / "train").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (folder / "data" / "train").rmdir()
    made = calibrate(folder / "model.pth", "tracklet_folder", folder / "data")
    assert (made.about["identities"], made.about["cohort"]) == (22, 22)
    assert made.about["measured"] is None
    monkeypatch.setattr(pipeline, "TrackletExtractor", None)  # too few are told before
    monkeypatch.setattr(pipeline, "MIN_IDENTITIES", 30)
    with pytest.raises(ValueError, match=r"44 people .* takes 60"):
        calibrate(folder / "model.pth", "tracklet_folder", folder / "data")


def test_labels_of_queries_go_with_the_half_that_is_fitted_to():
    pids = np.arange(40).repeat(2)
    query = LabelledFeatures(np.zeros((80, 2)), pids, np.zeros(80, np.int64))
    kept, gallery, cohort, labels = pipeline._divided(query, query, pids % 11)
    assert len(np.unique(kept.pids)) == 20
    assert labels.tolist() == (kept.pids % 11).tolist()
    assert gallery.pids.tolist() == kept.pids.tolist()
    assert not {*cohort.pids.tolist()} & {*kept.pids.tolist()}


def test_too_few_people_are_told_before_features_are_extracted(folder, monkeypatch):
    monkeypatch.setattr(pipeline, "TrackletExtractor", None)
    monkeypatch.setattr(pipeline, "MIN_IDENTITIES", 50)
    with pytest.raises(ValueError, match=r"44 people .* takes 50"):
        calibrate(folder / "model.pth", "tracklet_folder", folder / "data")


def test_a_file_that_cannot_be_written_is_told_before_features_are_extracted(folder, monkeypatch):
    monkeypatch.setattr(Colours, "__call__", None)
    (folder / "model.pth.calibration.npz").mkdir()
    with pytest.raises(IsADirectoryError):
        calibrate(folder / "model.pth", "tracklet_folder", folder / "data")


def test_people_whom_the_run_was_trained_on_are_refused(folder, monkeypatch):
    trained = ["data.sources", "['tracklet_folder']", "data.combineall", "True"]
    monkeypatch.setattr(Colours, "settings", trained)
    for split in (0, 3):  # which the dataset ignores
        with pytest.raises(ValueError, match="on the queries and the gallery of tracklet_folder"):
            calibrate(folder / "model.pth", "tracklet_folder", folder / "data", split)
    monkeypatch.setattr(dataset_class("tracklet_folder"), "splits_share_people", False)
    assert calibrate(folder / "model.pth", "tracklet_folder", folder / "data", 3).join.any()


def test_people_of_another_split_are_refused(folder, monkeypatch):
    trained = ["data.sources", "['tracklet_folder']", "data.split_id", "3"]
    monkeypatch.setattr(Colours, "settings", trained)
    made = calibrate(folder / "model.pth", "tracklet_folder", folder / "data")  # has one split
    assert made.join.any()
    monkeypatch.setattr(dataset_class("tracklet_folder"), "num_splits", 10)
    with pytest.raises(ValueError, match=r"split 3 of tracklet_folder, .* test of split 0"):
        calibrate(folder / "model.pth", "tracklet_folder", folder / "data")


def test_an_impossible_rate_is_told_at_once(folder, monkeypatch):
    monkeypatch.setattr(pipeline, "TrackletExtractor", None)
    for rate in (0, 1):
        with pytest.raises(ValueError, match=rf"rate of {rate}, .* between 0 and 1"):
            calibrate(folder / "model.pth", "tracklet_folder", folder / "data", rate=rate)


def test_the_command_prints_what_was_measured(folder, monkeypatch, capsys):
    monkeypatch.setattr("torchreid_occ.embedders.check_embedder", lambda path: None)
    words = ["calibrate", str(folder / "model.pth"), "-s", "tracklet_folder"]
    main([*words, "--root", str(folder / "data"), "--false-matches", "0.1"])
    text = capsys.readouterr().out
    assert "44 people, 44 queries, 44 gallery tracklets" in text
    assert "one threshold on the distance" in text
    assert "Expected calibration error" in text
    main([*words, "--root", str(folder / "data"), "--out", str(folder / "own.npz")])
    assert "Too few people or queries to measure" in capsys.readouterr().out
    assert load_calibration(folder / "own.npz").about["measured"] is None
