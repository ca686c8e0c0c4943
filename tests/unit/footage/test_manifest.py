import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_videos import FPS, SIZE, corners, image

from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording
from torchreid_occ.footage.manifest import recorded_tracklet


@pytest.fixture
def folder(tmp_path, video, detections):
    """The folder of the first tracklet of a recording."""
    source = BoxSource(detections=str(detections))
    add_recording(video, tmp_path / "data", source, TrackletOptions(camera=3))
    return tmp_path / "data/gallery/gate_0001/3_gate_0001"


def test_a_tracklet_is_found_in_its_video(folder, video):
    where = recorded_tracklet(folder)
    assert (where.recording, where.video, where.size) == ("gate", str(video), SIZE)
    assert where.frames[0] == 2 and where.seconds[0] == pytest.approx(1 / FPS)
    assert where.boxes[0] == [*corners(1, 2)[:2], 16, 40]
    assert where.pictured == 16 and where.pictured in where.frames
    picture = cv2.imread(str(where.picture)).astype(int)
    assert np.abs(picture - image(where.pictured)).mean() < 8


def test_a_folder_merged_with_another_person_is_found(folder):
    other = folder.parent.with_name("anna")
    other.mkdir()
    assert recorded_tracklet(folder.rename(other / folder.name)).frames[0] == 2


def test_a_manifest_of_an_earlier_version(folder):
    manifest = folder.parents[2] / "recordings" / "gate.json"
    content = json.loads(manifest.read_text())
    del content["path"], content["box"]
    for where in content["tracklets"].values():
        where["boxes"] = [[x, y, x + w, y + h] for x, y, w, h in where["boxes"]]
    manifest.write_text(json.dumps(content))
    for picture in (folder.parents[2] / "recordings" / "gate.moments").iterdir():
        picture.unlink()
    where = recorded_tracklet(folder)
    assert (where.video, where.picture) == ("gate.avi", None)
    assert where.boxes[0] == [*corners(1, 2)[:2], 16, 40]


def test_other_folders_have_no_moment(folder, tmp_path):
    for other in (
        folder.parent, folder.with_name("3_gate_0009"), folder.with_name("gate_0001"),
        tmp_path / "3_gate_0001", Path("/3_gate_0001"),
    ):  # fmt: skip
        assert recorded_tracklet(other) is None


def test_frames_wider_than_a_screen_are_kept_smaller(tmp_path, detections):
    writer = cv2.VideoWriter(
        str(tmp_path / "wide.avi"), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (1920, 240)
    )
    for number in range(1, 31):
        writer.write(image(number, (1920, 240)))
    writer.release()
    source = BoxSource(detections=str(detections))
    add_recording(tmp_path / "wide.avi", tmp_path / "data", source, TrackletOptions(camera=3))
    where = recorded_tracklet(tmp_path / "data/gallery/wide_0001/3_wide_0001")
    assert where.size == (1920, 240) and cv2.imread(str(where.picture)).shape == (120, 960, 3)
