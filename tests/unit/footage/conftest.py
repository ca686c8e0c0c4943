import pytest
from small_videos import mot_lines, write_video


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "gate.avi")


@pytest.fixture
def detections(tmp_path):
    path = tmp_path / "det.txt"
    path.write_text("\n".join(mot_lines()) + "\n")
    return path
