"""The page of a recording to look through."""

import re

import numpy as np
import pytest
from small_videos import FPS, FRAMES, SIZE, mot_lines, write_video

from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording
from torchreid_occ.footage.boxes import boxes_from_rows
from torchreid_occ.footage.sheet import facts_of_tracklets
from torchreid_occ.footage.video import Video

VIDEO = Video("gate.avi", np.arange(100) / 10, (400, 200), 100)


def walker(number, frames, left=0.0, step=5.0, width=40):
    return [
        (frame, number, left + step * frame, 20, left + step * frame + width, 120, 0.8)
        for frame in frames
    ]


def facts(*tracks):
    found = facts_of_tracklets(boxes_from_rows(row for track in tracks for row in track), VIDEO)
    return {one.number: one for one in found}


def test_facts_of_a_tracklet():
    one = facts(walker(4, range(11, 31)))[4]
    assert (one.frames, one.first, one.last, one.start, one.end) == (20, 11, 30, 1.0, 2.9)
    assert (one.score, one.height, one.overlapping) == (0.8, 100, 0)
    assert not one.doubtful


@pytest.mark.parametrize(
    ("apart", "overlapping"), [(0, 1.0), (28, 1.0), (29, 0.0), (40, 0.0), (-28, 1.0)]
)
def test_boxes_that_share_three_tenths_overlap_much(apart, overlapping):
    found = facts(walker(1, range(1, 41), 50), walker(2, range(1, 41), 50 + apart))
    assert [one.overlapping for one in found.values()] == [overlapping] * 2
    assert found[1].overlaps_others == found[1].doubtful == bool(overlapping)


def test_a_small_box_inside_a_large_one_overlaps_it():
    found = facts(walker(1, range(1, 41), width=200), walker(2, range(1, 41), 50, width=20))
    assert found[1].overlaps_others and found[2].overlaps_others


def test_a_short_encounter_is_not_marked():
    found = facts(walker(1, range(1, 41)), walker(2, range(32, 72)))
    assert found[1].overlapping == found[2].overlapping == 9 / 40
    assert not found[1].doubtful
    assert facts(walker(1, range(1, 41)), walker(2, range(31, 71)))[1].doubtful


def test_who_stands_still_for_three_seconds_is_marked():
    noise = np.random.default_rng(0).uniform(-4, 4, (40, 2))
    rows = [(n, 1, 50 + x, 20 + y, 90 + x, 120 + y, 0.9) for n, (x, y) in enumerate(noise, 1)]
    assert facts(rows)[1].still and facts(rows)[1].doubtful
    assert not facts(rows[:30])[1].still  # 2.9 seconds
    assert not facts(walker(1, range(1, 41), step=1))[1].still


def test_the_page_of_a_recording(tmp_path):
    video = write_video(tmp_path / "gate.avi")
    tracks = tmp_path / "tracks.txt"
    still = [f"{number},7,100,60,16,40,0.5" for number in range(1, FRAMES + 1)]
    tracks.write_text("\n".join([*mot_lines({1: 4, 2: 5}), *still]))
    options = TrackletOptions(camera=1, min_length=4)
    add_recording(video, tmp_path / "data", BoxSource(detections=str(tracks)), options, "a.b")
    page = (tmp_path / "data/recordings/a.b.sheet.html").read_text()
    assert "3 tracklets of a.b" in page and f"From {FRAMES} frames of {SIZE[0]}x{SIZE[1]}" in page
    assert f"{FPS} a second" in page
    assert re.findall(r'<li id="t(\d)"( class="doubtful")?>', page)[:2] == [("1", ""), ("2", "")]
    assert len(re.findall(r'src="data:image/jpeg;base64,', page)) == 3
    assert "http" not in page.replace("http-equiv", "")  # opens offline
    for name in ("a.b_0001", "a.b_0002", "a.b_0003"):
        assert f'<span class="name">{name}</span>' in page
    assert page.count("30 frames") == 3 + 1 and "median score 0.50" in page
