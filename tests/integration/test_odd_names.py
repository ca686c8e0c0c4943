"""Names with spaces, unicode, newlines and bytes that are no text; links to folders and files."""

import os
import shutil

import pytest
import torch
from support import TINY, pairs, write_two_cameras

from torchreid_occ.completion.scores import read_scores, write_scores
from torchreid_occ.config import load_config
from torchreid_occ.data.datasets.video.tracklet_folder import TrackletFolder
from torchreid_occ.data.images import read_image
from torchreid_occ.runs.builders import load_trained_model
from torchreid_occ.runs.phases import run_config
from torchreid_occ.utils.checkpoint import load_checkpoint, save_checkpoint
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import write_json

ODD = ["a b", "ü 人", "two\nlines", "[x]*?", 'it\'s "%s" {0} $HOME', os.fsdecode(b"caf\xe9"), "-x"]


@pytest.fixture(params=ODD)
def name(request):
    return request.param


def test_a_tracklet_folder_of_odd_names(name, tmp_path):
    source = write_two_cameras(tmp_path / "source", persons=1, frames=1)
    (frame,) = (source / "SDU-VID" / "sequences" / "cam1" / "person001").iterdir()
    root = tmp_path / name
    for subset, camera in (("train", "1"), ("query", f"1_{name}"), ("gallery", "2")):
        folder = root / "tracklet_folder" / subset / f"{name} person" / camera
        folder.mkdir(parents=True)
        shutil.copy(frame, folder / f"{name}.png")
    dataset = TrackletFolder(root, verbose=False)
    ((paths, pid, camid, _),) = dataset.query
    assert (pid, camid) == (0, 1)
    assert paths == (f"{root}/tracklet_folder/query/{name} person/1_{name}/{name}.png",)
    assert read_image(paths[0]).size == (16, 32)
    tracklets = {subset: getattr(dataset, subset) for subset in ("train", "query", "gallery")}
    scores = {subset: [torch.full((1, 3), 0.5).numpy()] for subset in tracklets}
    write_scores(root / "scores.csv", tracklets, scores)
    assert read_scores(root / "scores.csv", tracklets)["query"][0].tolist() == [[0.5] * 3]


def test_results_and_checkpoints_of_odd_names(name, tmp_path):
    write_json(tmp_path / name / f"{name}.json", {name: name})
    assert read_json(tmp_path / name / f"{name}.json") == {name: name}
    path = tmp_path / name / f"{name}.pth"
    save_checkpoint({"place": name, "weights": torch.ones(2)}, path)
    assert load_checkpoint(path)["place"] == name
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(
        [path.name, f"{name}.json"]
    )


def test_a_run_in_a_folder_of_an_odd_name(tmp_path, capsys):
    """The data's name is no text, that of the run must be: TensorBoard writes to no other."""
    root = write_two_cameras(tmp_path / os.fsdecode(b"caf\xe9"), persons=4, frames=2)
    run = tmp_path / "é 人\n[x]"
    link = tmp_path / "link"
    link.symlink_to(root, target_is_directory=True)
    settings = {
        **TINY,
        "model.name": "baseline",
        "model.options.backbone": "resnet18_x0_5",
        "loss.name": "identity",
        "data.sources": "sduvid",
        "data.root": str(root),
        "data.save_dir": str(run),
        "data.workers": "0",
        "train.batch_size": "4",
        "train.max_epoch": "1",
    }
    results = run_config(load_config(overrides=pairs(settings)))
    assert results["config"]["data"]["save_dir"] == str(run)
    written = load_config(run / "config.yaml")
    assert (written.data.save_dir, written.data.root) == (str(run), str(root))
    _, config, _ = load_trained_model(run / "model" / "model.pth.tar-1")
    assert config.data.root == str(root)
    assert "caf\\udce9" in (run / "run.log").read_text(encoding="utf-8")
    assert str(run / "results.json") in capsys.readouterr().out
    through = {**settings, "data.root": str(link), "test.evaluate": "True"}
    through["data.save_dir"] = str(tmp_path / "test")
    through["model.load_weights"] = str(run / "model" / "model.pth.tar-1")
    tested = run_config(load_config(overrides=pairs(through)))
    assert tested["targets"]["sduvid"]["last"] == results["targets"]["sduvid"]["last"]
    with pytest.raises(ValueError, match=r"caf\\udce9', but TensorBoard writes to names in UTF-8"):
        run_config(load_config(overrides=pairs({**settings, "data.save_dir": str(root)})))


def test_links_are_followed_for_reading_and_never_written_through(tmp_path):
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (tmp_path / "link.json").symlink_to(outside)
    write_json(tmp_path / "link.json", {"new": 1})
    assert outside.read_text() == "{}"
    assert read_json(tmp_path / "link.json") == {"new": 1}
    (tmp_path / "lost.png").symlink_to(tmp_path / "absent.png")
    with pytest.raises(FileNotFoundError, match=r'no image ".*lost\.png"'):
        read_image(tmp_path / "lost.png")
