"""Recordings that are there already, that are refused, and that a kill has interrupted."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_videos import FRAMES, files_below, write_video

from torchreid_occ.footage import (
    BoxSource,
    TrackletOptions,
    add_recording,
    crops,
    reading,
    recording,
)
from torchreid_occ.footage import video as video_module


def test_a_recording_that_exists_is_left_as_it_is(add, tmp_path, video):
    first = add()
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "data").rglob("*")}
    assert add() == first
    with pytest.raises(
        FileExistsError, match=r"gate\.json was made from another options: .*\(name\)"
    ):
        add(margin=0.1)
    write_video(video, frames=20)
    with pytest.raises(FileExistsError, match="another video"):
        add()
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "data").rglob("*")} == {
        p: t if p.name != "data" else p.stat().st_mtime_ns for p, t in times.items()
    }
    (tmp_path / "data/recordings/gate.json").unlink()
    with pytest.raises(FileExistsError, match=r"gate_0001 exists, but not recordings/gate\.j"):
        add()


def kill_at(monkeypatch, owner, name, call):
    """Lets a call of a function, counted from 1, be interrupted; returns the list of calls."""
    real, calls = getattr(owner, name), []

    def counted(*args, **options):
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(owner, name, counted)
    return calls


CROPS = 2 * (FRAMES - 1)  # of both people: a track begins with its second detection


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (crops, "_write_file", 33),  # while crops are cut
        (Path, "rename", 9),  # while they are given to tracklets
        (crops, "_write_file", 2 * FRAMES + 1),  # at a whole frame
        (recording, "write_text", 1),
        (recording, "write_sheet", 1),
        (Path, "rename", CROPS + 2),  # in the middle of moving into place
    ],
)
def test_a_kill_leaves_nothing_half_written(add, tmp_path, monkeypatch, owner, name, call):
    data = tmp_path / "data"
    add()
    expected = {file: (data / file).read_bytes() for file in files_below(data)}
    shutil.rmtree(data)
    kill_at(monkeypatch, owner, name, call)
    with pytest.raises(KeyboardInterrupt):
        add()
    assert not (data / "recordings/gate.json").exists()
    for folder in data.glob("gallery/*/*"):
        assert len([*folder.iterdir()]) == FRAMES - 1
    monkeypatch.undo()
    manifest = add()
    assert {file: (data / file).read_bytes() for file in files_below(data)} == expected
    assert [*data.glob(".*")] == []
    assert len(manifest["tracklets"]) == 2


def test_crops_that_were_cut_before_a_kill_are_kept(add, tmp_path, monkeypatch):
    data = tmp_path / "data"
    add(margin=0.5)
    with_margin = {file: (data / file).read_bytes() for file in files_below(data)}
    shutil.rmtree(data)
    for margin, cut_again in ((0, range(1, 41)), (0.5, range(60, 61))):
        kill_at(monkeypatch, crops, "_write_file", 50)  # in frame 25 of 30, two crops in each
        with pytest.raises(KeyboardInterrupt):
            add()
        monkeypatch.undo()
        calls = kill_at(monkeypatch, crops, "_write_file", None)
        add(margin=margin)
        monkeypatch.undo()
        written = [file for file, _ in calls if "/crops/" in str(file)]
        assert len(written) in cut_again
        if margin:
            assert {file: (data / file).read_bytes() for file in files_below(data)} == with_margin
        shutil.rmtree(data)


def test_a_video_is_decoded_once(add, tmp_path, monkeypatch):
    opened = kill_at(monkeypatch, reading, "opened", None)
    sought = kill_at(monkeypatch, video_module, "sought", None)
    add()
    assert len(opened) == 1
    assert [(list(numbers), count) for _, numbers, count, _ in sought] == [([16], FRAMES)]


def test_a_detector_continues_after_a_kill_and_its_detections_stay(add, tmp_path, monkeypatch):
    class Detector:
        seen = 0

        def __call__(self, frame):
            Detector.seen += 1
            if Detector.seen == 21:
                raise KeyboardInterrupt
            blue = np.flatnonzero(((frame[..., 0] > 200) & (frame[..., 1] < 100)).any(0))
            return np.array([[blue[0], 10, blue[0] + 16, 50]]), np.array([1.6])

    monkeypatch.setattr(recording, "build_detector", lambda *_: Detector())
    source = BoxSource(detector="hog")
    with pytest.raises(KeyboardInterrupt):
        add(source=source)
    with pytest.raises(
        ValueError, match=r"\.gate\.partial holds a recording that was begun with an"
    ):
        add()
    with pytest.raises(ValueError, match="No track has 99 frames"):
        add(source=source, min_length=99)
    assert Detector.seen == 20 + 1 + 11  # frame 20 may have been cut short
    add(source=source)
    assert Detector.seen == 20 + 1 + 11 + 1  # the last one, likewise
    kept = tmp_path / "data/recordings/gate.detections.txt"
    assert len(kept.read_text().splitlines()) == FRAMES
    again = add(source=BoxSource(detections=str(kept)), name="again", min_length=5)
    assert [len(where["frames"]) for where in again["tracklets"].values()] == [FRAMES - 1]


def test_a_failure_leaves_nothing(add, tmp_path):
    with pytest.raises(ValueError, match=r"No track has 99 frames"):
        add(min_length=99)
    assert not (tmp_path / "data").exists()
    add(name="noon")
    with pytest.raises(ValueError, match="No track has 99 frames"):
        add(min_length=99)
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["gallery", "recordings"]


def test_a_refused_detector_leaves_no_folder(tmp_path, video, monkeypatch):
    source, data = BoxSource(detector="yolo"), tmp_path / "deep/er/data"
    with pytest.raises(ValueError, match='Received detector "yolo"'):
        add_recording(video, data, source, TrackletOptions(camera=3))
    nothing = (np.empty((0, 4)), np.empty(0))
    monkeypatch.setattr(recording, "build_detector", lambda *_: lambda frame: nothing)
    with pytest.raises(ValueError, match="No person was found"):
        add_recording(video, data, BoxSource(detector="hog"), TrackletOptions(camera=3))
    assert not (tmp_path / "deep").exists()
    (tmp_path / "own").mkdir()  # by the user: stays
    with pytest.raises(ValueError, match="No person was found"):
        add_recording(video, tmp_path / "own", BoxSource(detector="hog"), TrackletOptions(camera=3))
    assert [*(tmp_path / "own").iterdir()] == []


def test_two_processes_do_not_make_one_recording(add, tmp_path):
    with (
        recording._workshop(tmp_path / "data/.gate.partial"),
        pytest.raises(ValueError, match=r"Another process is at work in .*\.gate\.partial"),
    ):
        add()


def test_a_recording_is_made_anew_as_the_error_says(add, tmp_path):
    add()
    data = tmp_path / "data"
    with pytest.raises(FileExistsError, match="remove that file and the folders"):
        add(min_length=20)
    (data / "recordings/gate.json").unlink()
    for folder in (data / "gallery").glob("gate_*"):
        shutil.rmtree(folder)
    (data / "recordings/gate.moments/gate_0003.webp").write_bytes(b"of a tracklet that is no more")
    assert len(add(min_length=20)["tracklets"]) == 2
    made = files_below(data / "recordings/gate.moments")
    assert made == ["gate_0001.webp", "gate_0002.webp"]
    assert not (data / ".gate.partial").exists()


def test_complete_work_is_kept_where_it_cannot_be_moved_into_place(add, tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    (data / "recordings").write_text("a file in the way")
    with pytest.raises(FileExistsError):
        add()
    (data / "recordings").unlink()
    monkeypatch.setattr(recording, "_make", None)  # nothing is cut out again
    assert len(add()["tracklets"]) == 2
    assert files_below(data / "gallery") and not (data / ".gate.partial").exists()
