import logging

import numpy as np
import pytest

from torchreid_occ.footage.boxes import boxes_from_rows
from torchreid_occ.footage.tracks import long_enough, split_at_gaps, usable
from torchreid_occ.footage.video import Video

VIDEO = Video("gate.avi", np.arange(10) / 10, (100, 50), 10)


def track(number, frames):
    return [(frame, number, 10, 10, 20, 40, 1.0) for frame in frames]


def frames_by_track(boxes):
    return {int(n): boxes.frame[boxes.track == n].tolist() for n in np.unique(boxes.track)}


def test_boxes_are_clipped_to_the_frame_or_dropped(caplog):
    rows = [
        (1, -1, -5, -5, 20, 40, 0.9),  # reaches over the corner
        (1, -1, 90, 20, 130, 80, 0.9),
        (2, -1, 120, 10, 140, 40, 0.9),  # outside
        (2, -1, 30, 40, 30, 20, 0.9),  # no width, negative height
        (2, -1, 30, 10, 40, 25, 0.9),  # 15 pixels high
        (11, -1, 10, 10, 20, 40, 0.9),  # after the end
    ]
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        kept = usable(boxes_from_rows(rows), VIDEO, min_height=30)
    assert kept.corners.tolist() == [[0, 0, 20, 40], [90, 20, 100, 50]]
    assert "Dropped boxes, of 6: 1 are of frames after the last one, 10; 2 have no area inside the "
    assert "1 are of frames after the last one, 10; 2 have no area" in caplog.text
    assert "frame of 100x50; 1 are less than 30 pixels high" in caplog.text


def test_the_error_without_usable_boxes_names_the_reasons():
    rows = [(1, -1, 10, 10, 20, 30, 0.9), (99, -1, 10, 10, 20, 40, 0.9)]
    with pytest.raises(ValueError, match=r"None of 2 boxes is usable: 1 are of .*; 1 are less"):
        usable(boxes_from_rows(rows), VIDEO, min_height=30)


def test_a_gap_splits_a_track_and_tracks_are_numbered_by_start():
    boxes = boxes_from_rows(track(7, [3, 4, 8, 9]) + track(2, [5, 7]) + track(4, [1]))
    split = split_at_gaps(boxes, VIDEO, max_gap=0.3)
    assert frames_by_track(split) == {1: [1], 2: [3, 4], 3: [5, 7], 4: [8, 9]}
    assert split.frame.tolist() == sorted(split.frame.tolist())
    assert frames_by_track(split_at_gaps(boxes, VIDEO, 0.5)) == {1: [1], 2: [3, 4, 8, 9], 3: [5, 7]}


def test_a_low_frame_rate_is_no_gap():
    slow = VIDEO._replace(times=np.arange(10) * 5.0)
    boxes = boxes_from_rows(track(1, range(1, 11)))
    assert frames_by_track(split_at_gaps(boxes, slow, max_gap=1.0)) == {1: [*range(1, 11)]}


@pytest.mark.parametrize("times", [np.arange(10) / 10, np.arange(10) * 5.0, np.arange(10) / 300])
def test_consecutive_frames_are_no_gap_and_a_missed_one_is(times):
    boxes = boxes_from_rows(track(1, [1, 2, 3, 5, 6]))
    video = VIDEO._replace(times=times)
    assert frames_by_track(split_at_gaps(boxes, video, 0)) == {1: [1, 2, 3], 2: [5, 6]}
    assert len(frames_by_track(split_at_gaps(boxes, video, 2 * (times[1] - times[0])))) == 1


def test_a_stall_counts_as_a_step():
    video = VIDEO._replace(times=np.arange(10) / 10 + 9 * (np.arange(10) >= 4))
    boxes = boxes_from_rows(track(1, [1, 2, 3, 6, 7]))
    assert len(frames_by_track(split_at_gaps(boxes, video, 0.3))) == 1
    assert len(frames_by_track(split_at_gaps(boxes, video, 0.2))) == 2


def test_short_tracks_are_dropped_and_the_others_renumbered():
    boxes = boxes_from_rows(track(1, [1, 2]) + track(2, [1, 2, 3]) + track(3, [4, 5, 6, 7]))
    assert frames_by_track(long_enough(boxes, 3)) == {1: [1, 2, 3], 2: [4, 5, 6, 7]}
    with pytest.raises(ValueError, match=r"No track has 5 frames .*: the longest has 4"):
        long_enough(boxes, 5)
