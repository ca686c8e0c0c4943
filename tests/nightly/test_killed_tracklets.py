"""Tracklets cut from a video by killed commands: they equal those of an uninterrupted one."""

import numpy as np
import pytest
from small_videos import corners, write_video

from nightly.jobs import Job
from nightly.killing import kill_repeatedly
from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording, recording

pytestmark = pytest.mark.nightly


def detector(frame):
    """Finds both people by the first one's colour."""
    blue = (frame[..., 0] > 200) & (frame[..., 1] < 100)
    number = round((np.flatnonzero(blue.any(0))[0] - 5) / 3)
    return np.array([corners(1, number), corners(2, number)]), np.array([1.9, 1.9])


@pytest.mark.parametrize("source", ["detector", "file"])
def test_tracklets_of_killed_commands(tmp_path, source, monkeypatch):
    video, boxes = write_video(tmp_path / "gate.avi"), tmp_path / "boxes.txt"
    monkeypatch.setattr(recording, "build_detector", lambda *_: detector)
    add_recording(video, tmp_path / "first", BoxSource(detector="hog"), TrackletOptions(1))
    kept = tmp_path / "first/recordings/gate.detections.txt"
    boxes.write_text(kept.read_text())
    of = BoxSource(detector="hog") if source == "detector" else BoxSource(detections=str(boxes))
    job = Job(lambda folder: add_recording(video, folder, of, TrackletOptions(1)), ())
    (tmp_path / "killed").mkdir()
    report = kill_repeatedly(job, tmp_path / "killed", 12, seed=1)
    assert report.kills == 12
    assert not report.faults
