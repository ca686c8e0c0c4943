import numpy as np
import pytest
from small_videos import FRAMES, corners

from torchreid_occ.footage.boxes import read_mot
from torchreid_occ.footage.detecting import DetectedBoxes, KnownBoxes
from torchreid_occ.footage.detectors import TorchvisionDetector
from torchreid_occ.footage.video import read_frames, scan_video


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
        return np.array(found).reshape(-1, 4) + 0.123, np.full(len(found), 0.5)


def found_in(video, detector, path):
    """Runs a detector over a video; returns the boxes frame by frame, and all of them."""
    boxes = DetectedBoxes(detector, path)
    frames = ((n, pixels if n >= boxes.first else None) for n, pixels in read_frames(video))
    by_frame = [(number, found.corners.tolist()) for number, _, found in boxes.find(frames)]
    return by_frame, boxes.all(video)


def test_an_interrupted_run_continues(video, tmp_path):
    scanned, path = scan_video(video), tmp_path / "found.txt"
    by_frame, whole = found_in(scanned, Detector(), tmp_path / "whole.txt")
    assert whole.frame.tolist() == [*range(2, FRAMES + 1, 2)]
    # Each frame has the boxes that are read from the file, which has two decimals.
    assert by_frame == [
        (number, whole.corners[whole.frame == number].tolist()) for number in range(1, FRAMES + 1)
    ]
    assert whole.corners[0].tolist() == pytest.approx([side + 0.12 for side in corners(1, 2)])
    with pytest.raises(KeyboardInterrupt):
        found_in(scanned, Detector(last=13), path)
    path.write_text(path.read_text() + "1")  # a line cut short by a kill
    later = Detector()
    assert found_in(scanned, later, path)[0] == by_frame
    assert later.calls == [*range(12, FRAMES + 1)]
    assert path.read_text() == (tmp_path / "whole.txt").read_text()


def test_no_person_found_is_an_error(video, tmp_path):
    nothing = (np.empty((0, 4)), np.empty(0))
    with pytest.raises(ValueError, match=rf"No person was found in any of the {FRAMES} frames of"):
        found_in(scan_video(video), lambda frame: nothing, tmp_path / "found.txt")


def test_known_boxes_need_no_pixels(detections):
    known = KnownBoxes(read_mot(detections))
    given = [*known.find((number, None) for number in (FRAMES, FRAMES + 1))]
    assert [(number, len(found)) for number, _, found in given] == [(FRAMES, 2), (FRAMES + 1, 0)]
    assert known.first > FRAMES


def test_a_detector_of_batches_gets_several_frames(video, tmp_path, monkeypatch):
    detector, batches = TorchvisionDetector.__new__(TorchvisionDetector), []

    def of_batch(self, frames):
        batches.append(len(frames))
        return [Detector()(frame) for frame in frames]

    monkeypatch.setattr(TorchvisionDetector, "of_batch", of_batch)
    scanned = scan_video(video)
    detector.batch_size = 8
    together = found_in(scanned, detector, tmp_path / "together.txt")[0]
    assert batches == [8, 8, 8, 6]
    assert together == found_in(scanned, Detector(), tmp_path / "alone.txt")[0]
