import numpy as np
import pytest
import torch
from many_videos import write_videos
from small_backbone import SMALL_BACKBONE
from support import pairs, write_two_cameras

from torchreid_occ.cli import main
from torchreid_occ.config import load_config, plain
from torchreid_occ.extractor import TrackletExtractor
from torchreid_occ.models import build_model
from torchreid_occ.utils.checkpoint import save_checkpoint

SETTINGS = {"data.height": "32", "data.width": "16", "data.workers": "0", "model.name": "baseline"}


@pytest.fixture
def checkpoint(tmp_path):
    config = plain(load_config(None, pairs(SETTINGS)))
    config["model"]["options"] = {"backbone": SMALL_BACKBONE}
    torch.manual_seed(0)
    model = build_model("baseline", 4, height=32, width=16, backbone=SMALL_BACKBONE)
    state = {"config": config, "num_classes": 4, "state_dict": model.state_dict()}
    save_checkpoint(state, tmp_path / "model.pth.tar-1")
    return tmp_path / "model.pth.tar-1"


def test_features_names_and_cameras(checkpoint, tmp_path, capsys):
    people = write_two_cameras(tmp_path, persons=2, frames=2) / "SDU-VID" / "sequences"
    words = ["extract", str(checkpoint), str(people), "--workers", "0"]
    main([*words, "--out", str(tmp_path / "f.npz")])
    names = [f"cam{camera}/person00{person}" for camera in (1, 2) for person in (1, 2)]
    expected = TrackletExtractor(checkpoint, workers=0)([people / name for name in names])
    with np.load(tmp_path / "f.npz") as found:
        assert [name.removeprefix("sequences/") for name in found["names"]] == names
        np.testing.assert_array_equal(found["features"], expected)
        assert found["cameras"].tolist() == [-1] * 4
        assert len(str(found["checkpoint"])) == 64
    shown = capsys.readouterr().out.splitlines()
    assert shown[-3] == f"{tmp_path / 'f.npz'}: 4 features of {expected.shape[1]} values"
    main([*words, "--out", str(tmp_path / "f.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), expected)


def test_errors(checkpoint, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["extract", str(checkpoint), str(tmp_path), "--out", "f.txt"])
    assert "argument --out: f.txt must end in .npz, .npy or .parquet" in capsys.readouterr().err
    for words, message in (
        (["--threads", "0"], "argument --threads: 0 is no whole number from 1 on"),
        (["--threads", "two"], "argument --threads: two is no whole number"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["extract", str(checkpoint), str(tmp_path), "--out", "f.npy", *words])
        assert message in capsys.readouterr().err
    for words, message in (
        (["videos.csv", "--out", "f.npz"], r"f.npz is one file, but the list of videos videos.csv"),
        (["x", "--out", "f.npz", "--ray", "auto"], r"but a cluster gives many: .* --out f.parquet"),
        (["videos.csv", "--out", "f.parquet"], r"\(--footage FOLDER\) belong together"),
        (["x", "--out", "f.parquet", "--footage", "d"], r"belong together: give both or neither"),
    ):
        with pytest.raises(SystemExit, match=f"^error: .*{message}"):
            main(["extract", str(checkpoint), *words])
    with pytest.raises(SystemExit, match=r"^error: .*gone"):
        main(["extract", str(checkpoint), str(tmp_path / "gone"), "--out", "f.npy"])


def test_a_file_that_cannot_be_written_is_told_before_the_work(checkpoint, tmp_path, monkeypatch):
    folder = write_two_cameras(tmp_path, persons=1, frames=1)
    monkeypatch.setattr(TrackletExtractor, "__call__", None)
    (tmp_path / "f.npy").mkdir()
    with pytest.raises(SystemExit, match=r"Is a directory: '.*/f\.npy'"):
        main(["extract", str(checkpoint), str(folder), "--out", str(tmp_path / "f.npy")])


def test_videos_to_a_folder_of_parquet_files(checkpoint, tmp_path, capsys):
    videos = write_videos(tmp_path, 3)
    (tmp_path / "v1.avi").write_bytes(b"nothing")
    words = ["extract", str(checkpoint), str(videos), "--footage", str(tmp_path / "data")]
    words += ["--out", str(tmp_path / "f.parquet"), "--min-length", "28", "--threads", "1"]
    with pytest.raises(SystemExit, match=r"^error: 1 were not done, for the reasons above"):
        main(words)
    shown = capsys.readouterr()
    assert f"Not done: {tmp_path / 'v1.avi'} (7 bytes) is no video" in shown.err
    assert f"is seen for long enough in 1, such as {tmp_path / 'v2.avi'}.\n" in shown.out
    assert f"{tmp_path / 'f.parquet'}: 2 tracklets extracted.\n" in shown.out
    write_videos(tmp_path, 3)  # the second one is whole now
    main(words)
    assert capsys.readouterr().out.startswith("2 files were there already.\n")
