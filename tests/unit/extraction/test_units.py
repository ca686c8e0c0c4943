import cv2
import numpy as np
import pytest

from torchreid_occ.extraction import folder_units, units
from torchreid_occ.footage import recording
from torchreid_occ.search import tracklets_in


@pytest.fixture
def folder(tmp_path):
    """Five tracklets of two frames."""
    for person in range(5):
        place = tmp_path / f"gallery/p{person}/{person}_a"
        place.mkdir(parents=True)
        for frame in range(2):
            cv2.imwrite(str(place / f"{frame}.jpg"), np.full((8, 4, 3), 9 * person, np.uint8))
    return tmp_path / "gallery"


def test_folders_are_batched_in_order(folder, monkeypatch):
    monkeypatch.setattr(units, "BATCH", 2)
    made = folder_units([folder])
    assert [len(unit.places) for unit in made] == [2, 2, 1]
    assert [key[:17] for key, *_ in made] == [f"tracklets-00000{n}-" for n in range(3)]
    found = [tracklet for unit in made for tracklet in unit.tracklets()]
    assert found == tracklets_in(folder)
    assert not any(unit.is_cut_by_cpu for unit in made)
    assert made[1].label == f"2 tracklets from {folder}/p2/2_a on"


def test_keys_tell_the_frames_and_are_kept_where_folders_are_added(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(units, "BATCH", 2)
    before = folder_units([folder])
    other = tmp_path / "other/x"
    other.mkdir(parents=True)
    cv2.imwrite(str(other / "1.png"), np.zeros((8, 4, 3), np.uint8))
    assert folder_units([folder, tmp_path / "other"])[:3] == before
    cv2.imwrite(str(folder / "p2/2_a/7.jpg"), np.zeros((8, 4, 3), np.uint8))
    after = folder_units([folder])
    assert [new.key == old.key for new, old in zip(after, before, strict=True)] == [
        True, False, True,
    ]  # fmt: skip


def test_a_folder_comes_once(folder):
    assert folder_units([folder, folder / "p1"]) == folder_units([folder])


def test_faults_of_folders(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        folder_units([tmp_path / "gone"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"No folder at or below .*empty holds images"):
        folder_units([tmp_path / "empty"])
    folder.rename(tmp_path / "empty/gallery")
    (tmp_path / "again").mkdir()
    again = tmp_path / "again/gallery/p1/1_a"
    again.mkdir(parents=True)
    cv2.imwrite(str(again / "1.png"), np.zeros((8, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="are both named gallery/p1/1_a: rename"):
        folder_units([tmp_path / "empty/gallery", tmp_path / "again/gallery"])


def test_a_recording_in_use_is_waited_for(tmp_path, monkeypatch):
    unit = units.VideoUnit("k", "l", "/v.avi", str(tmp_path), None, None, "v")
    tries = []

    def add(*words):
        tries.append(words)
        if len(tries) < 3:
            raise recording.RecordingInUseError("Another process is at work.")
        return {"tracklets": {}}

    monkeypatch.setattr(units, "add_recording", add)
    monkeypatch.setattr(units.time, "sleep", lambda seconds: None)
    assert unit.tracklets() == [] and len(tries) == 3
    tries.clear()
    monkeypatch.setattr(units, "PATIENCE", -1)
    with pytest.raises(recording.RecordingInUseError):
        unit.tracklets()
