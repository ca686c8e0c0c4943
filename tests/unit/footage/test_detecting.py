import numpy as np
import pytest
from small_videos import FRAMES, corners

from torchreid_occ.footage.detecting import detect
from torchreid_occ.footage.video import scan_video


class Detector:
    """Finds the first person, in even frames only; can be interrupted."""

    def __init__(self, last=FRAMES):
        self.calls, self._last = [], last

    def __call__(self, frame):
        blue = (frame[..., 0] > 200) & (frame[..., 1] < 100)
        left = int(np.flatnonzero(blue.any(0))[0])
        number = round((left - 5) / 3)
        if number > self._last:
            raise KeyboardInterrupt
        self.calls.append(number)
        found = [corners(1, number)] if number % 2 == 0 else []
        return np.array(found).reshape(-1, 4), np.full(len(found), 0.5)


def test_an_interrupted_run_continues(video, tmp_path):
    scanned, path = scan_video(video), tmp_path / "found.txt"
    whole = detect(scanned, Detector(), tmp_path / "whole.txt")
    assert whole.frame.tolist() == [*range(2, FRAMES + 1, 2)]
    assert whole.corners[0].tolist() == [*corners(1, 2)]
    with pytest.raises(KeyboardInterrupt):
        detect(scanned, Detector(last=13), path)
    path.write_text(path.read_text() + "1")  # a line cut short by a kill
    later = Detector()
    detect(scanned, later, path)
    assert later.calls == [*range(12, FRAMES + 1)]
    assert path.read_text() == (tmp_path / "whole.txt").read_text()


def test_no_person_found_is_an_error(video, tmp_path):
    nothing = (np.empty((0, 4)), np.empty(0))
    with pytest.raises(ValueError, match=rf"No person was found in any of the {FRAMES} frames"):
        detect(scan_video(video), lambda frame: nothing, tmp_path / "found.txt")
