import pytest
from small_videos import mot_lines, write_video

from torchreid_occ.footage import forgetting
from torchreid_occ.footage.forgetting import delete_tracklet_frames
from torchreid_occ.footage.recording import BoxSource, TrackletOptions, add_recording
from torchreid_occ.utils.documents import read_json


@pytest.fixture
def dataset(tmp_path):
    video = write_video(tmp_path / "gate.avi")
    boxes = tmp_path / "gate.txt"
    boxes.write_text("\n".join(mot_lines({1: 1, 2: 2})))
    source, options = BoxSource(str(boxes)), TrackletOptions(camera=1)
    for name in ("gate", "gate2"):
        add_recording(video, tmp_path / "data", source, options, name)
    return tmp_path / "data"


def test_a_recording_forgets_a_tracklet(dataset, tmp_path):
    own = dataset / "gallery" / "gate_0001" / "1_gate_0001"
    assert len(list((dataset / "recordings" / "gate.moments").iterdir())) == 2
    frames = sorted(own.iterdir())
    assert delete_tracklet_frames(frames) == len(frames) == 30
    assert not own.parent.exists()
    assert [p.name for p in sorted((dataset / "gallery").iterdir())] == [
        "gate2_0001", "gate2_0002", "gate_0002",
    ]  # fmt: skip
    recordings = dataset / "recordings"
    assert not (recordings / "gate.sheet.html").exists()
    # Both are in each frame, so the picture that is kept for the other one shows this one, too.
    assert not list((recordings / "gate.moments").iterdir())
    assert len(list((recordings / "gate2.moments").iterdir())) == 2
    assert (recordings / "gate2.sheet.html").exists()
    assert [*read_json(recordings / "gate.json")["tracklets"]] == ["gallery/gate_0002/1_gate_0002"]
    assert len(read_json(recordings / "gate2.json")["tracklets"]) == 2
    rows = (recordings / "gate.tracks.txt").read_text().splitlines()
    assert len(rows) == 30 and {row.split(",")[1] for row in rows} == {"2"}
    again = add_recording(
        tmp_path / "gate.avi", dataset, BoxSource(str(tmp_path / "gate.txt")), TrackletOptions(1),
        "gate",
    )  # fmt: skip
    assert len(again["tracklets"]) == 1 and not own.exists()
    assert delete_tracklet_frames(frames) == 0


def test_many_tracklets_read_each_manifest_once(dataset, monkeypatch):
    files = []
    monkeypatch.setattr(forgetting, "read_json", lambda file: files.append(file) or read_json(file))
    chosen = ["gate_0001/1_gate_0001", "gate_0002/1_gate_0002", "gate2_0002/1_gate2_0002"]
    frames = [path for name in chosen for path in (dataset / "gallery" / name).iterdir()]
    assert delete_tracklet_frames(frames) == 90
    recordings = dataset / "recordings"
    assert files == [recordings / "gate.json", recordings / "gate2.json"]
    left = {file.stem: [*read_json(file)["tracklets"]] for file in files}
    assert left == {"gate": [], "gate2": ["gallery/gate2_0001/1_gate2_0001"]}
    assert (recordings / "gate.tracks.txt").read_text() == ""
    rows = (recordings / "gate2.tracks.txt").read_text().splitlines()
    assert {row.split(",")[1] for row in rows} == {"1"}


def test_a_folder_with_other_files_stays(tmp_path):
    folder = tmp_path / "gallery" / "anna" / "1"
    folder.mkdir(parents=True)
    for name in ("1.jpg", "notes.txt"):
        (folder / name).write_text("x")
    assert delete_tracklet_frames([folder / "1.jpg", folder / "2.jpg"]) == 1
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_damaged_manifest_is_an_error_before_anything_is_deleted(tmp_path):
    folder = tmp_path / "gallery" / "anna" / "1"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_text("x")
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "gate.json").write_text("[]")
    with pytest.raises(ValueError, match=r"gate.json is no manifest of a recording"):
        delete_tracklet_frames([folder / "1.jpg"])
    assert (folder / "1.jpg").exists()
