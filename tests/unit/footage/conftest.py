import pytest
from small_videos import mot_lines, write_video

from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "gate.avi")


@pytest.fixture
def detections(tmp_path):
    path = tmp_path / "det.txt"
    path.write_text("\n".join(mot_lines()) + "\n")
    return path


@pytest.fixture
def add(tmp_path, video, detections):
    """Adds the video to a dataset."""

    def run(path=video, source=None, name="", **changes):
        source = source or BoxSource(detections=str(detections))
        options = TrackletOptions(camera=3)._replace(**changes)
        return add_recording(path, tmp_path / "data", source, options, name)

    return run
