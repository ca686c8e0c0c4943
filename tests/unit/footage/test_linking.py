import numpy as np
import pytest
from small_videos import FPS, FRAMES, SIZE, mot_lines

from torchreid_occ.footage.boxes import read_mot
from torchreid_occ.footage.linking import link
from torchreid_occ.footage.video import Video
from torchreid_occ.utils import dependencies

VIDEO = Video("gate.avi", np.arange(FRAMES) / FPS, SIZE, FRAMES)
WHOLE = [*range(2, FRAMES + 1)]  # a track begins with its second detection


def boxes_of(tmp_path, lines):
    path = tmp_path / "det.txt"
    path.write_text("\n".join(lines))
    return read_mot(path)


def frames_by_track(tracks):
    return {int(n): tracks.frame[tracks.track == n].tolist() for n in np.unique(tracks.track)}


def test_each_person_is_one_track(tmp_path):
    tracks = link(boxes_of(tmp_path, mot_lines()), VIDEO, min_score=0.7, max_gap=1.0)
    assert frames_by_track(tracks) == {1: WHOLE, 2: WHOLE}
    for number in (1, 2):  # each stays in its row
        assert np.ptp(tracks.corners[tracks.track == number][:, 1]) == 0


def test_a_low_score_continues_a_track_and_starts_none(tmp_path):
    strong, weak = range(1, 11), range(11, FRAMES + 1)
    lines = mot_lines(frames=strong) + mot_lines(frames=weak, score=0.3)
    tracks = link(boxes_of(tmp_path, lines), VIDEO, min_score=0.7, max_gap=1.0)
    assert frames_by_track(tracks) == {1: WHOLE, 2: WHOLE}
    late = mot_lines(frames=strong, score=0.3) + mot_lines(frames=weak)
    tracks = link(boxes_of(tmp_path, late), VIDEO, min_score=0.7, max_gap=1.0)
    assert frames_by_track(tracks) == {1: [*weak][1:], 2: [*weak][1:]}


def test_tracks_keep_their_boxes_when_one_person_scores_low(tmp_path):
    """The library returns detections of high scores first."""
    weak = [line.replace("0.9,", "0.3,") for line in mot_lines(frames=range(11, FRAMES + 1))[::2]]
    strong = mot_lines(frames=range(11, FRAMES + 1))[1::2]
    lines = mot_lines(frames=range(1, 11)) + weak + strong
    tracks = link(boxes_of(tmp_path, lines), VIDEO, min_score=0.7, max_gap=1.0)
    assert frames_by_track(tracks) == {1: WHOLE, 2: WHOLE}
    for number in (1, 2):
        assert np.ptp(tracks.corners[tracks.track == number][:, 1]) == 0


def test_without_a_high_score_there_is_no_track(tmp_path):
    with pytest.raises(ValueError, match=r"takes a score of 0\.95 .*: they score 0\.9 to 0\.9"):
        link(boxes_of(tmp_path, mot_lines()), VIDEO, min_score=0.95, max_gap=1.0)


def test_detections_that_never_overlap_are_no_track(tmp_path):
    lines = mot_lines(frames=range(1, FRAMES, 12))
    with pytest.raises(
        ValueError, match=r"None of 6 .* followed within 2 s \(max_gap\) by one that"
    ):
        link(boxes_of(tmp_path, lines), VIDEO, min_score=0.7, max_gap=2.0)


@pytest.mark.parametrize(("max_gap", "tracks"), [(1.0, 2), (0.3, 4)])
def test_a_gap_is_bridged_up_to_its_limit(tmp_path, max_gap, tracks):
    seen = [*range(1, 15), *range(20, FRAMES + 1)]  # 0.6 seconds from frame 14 to frame 20
    found = link(boxes_of(tmp_path, mot_lines(frames=seen)), VIDEO, 0.7, max_gap)
    assert len(np.unique(found.track)) == tracks
    assert len(found) == 2 * len(seen) - tracks


@pytest.mark.parametrize("frame_rate", [0.2, 0.5, 0.8, 1, 10, 29.97, 300])
@pytest.mark.parametrize("max_gap", [0, 0.1, 1.0])
def test_a_step_is_no_gap(tmp_path, frame_rate, max_gap):
    video = VIDEO._replace(times=np.arange(FRAMES) / frame_rate)
    tracks = link(boxes_of(tmp_path, mot_lines()), video, 0.7, max_gap)
    assert frames_by_track(tracks) == {1: WHOLE, 2: WHOLE}


@pytest.mark.parametrize("steps", range(2, 8))
@pytest.mark.parametrize("frame_rate", [0.7, 10, 12.5, 29.97, 30])
@pytest.mark.parametrize("start", [0, 1e5 / 3])
def test_a_gap_of_exactly_its_limit_is_bridged(tmp_path, steps, frame_rate, start):
    video = VIDEO._replace(times=start + np.arange(FRAMES) / frame_rate)
    seen = [*range(1, 11), *range(10 + steps, FRAMES + 1)]
    boxes = boxes_of(tmp_path, mot_lines(frames=seen))
    for limit, tracks in ((steps, 2), (steps - 0.4, 2), (steps - 1, 4)):
        found = link(boxes, video, 0.7, limit / frame_rate)
        assert len(np.unique(found.track)) == tracks


@pytest.mark.parametrize("stall", [1.5, 20, 600])
@pytest.mark.parametrize("missed", [0, 3])
def test_a_stall_of_the_camera_is_no_gap(tmp_path, stall, missed):
    """Someone stands still while the camera gives no frames, then is missed in some."""
    times = np.arange(40) / 10 + (np.arange(40) >= 20) * stall
    left = 20 + np.random.default_rng(0).uniform(-1, 1, 41).round(2)
    seen = [n for n in range(1, 41) if not 20 < n <= 20 + missed]
    lines = [f"{n},-1,{left[n]},60,40,120,0.9" for n in seen]
    tracks = link(boxes_of(tmp_path, lines), VIDEO._replace(times=times), 0.7, 1.0)
    assert [len(frames) for frames in frames_by_track(tracks).values()] == [39 - missed]


@pytest.mark.parametrize("score", [0.09, 0, -1])
def test_a_score_below_the_papers_floor_continues_no_track(tmp_path, score):
    lines = mot_lines(frames=range(1, 11)) + mot_lines(frames=range(11, FRAMES + 1), score=score)
    boxes = boxes_of(tmp_path, lines)
    tracks = link(boxes, VIDEO, min_score=0.7, max_gap=1.0)
    assert frames_by_track(tracks) == {1: [*range(2, 11)], 2: [*range(2, 11)]}
    # Scores in a unit of their own, such as distances: the floor is at most what starts a track.
    tracks = link(boxes, VIDEO, min_score=-1, max_gap=1.0)
    assert frames_by_track(tracks) == {1: WHOLE, 2: WHOLE}


def test_the_papers_floor_itself_continues_a_track(tmp_path):
    lines = mot_lines(frames=range(1, 11)) + mot_lines(frames=range(11, FRAMES + 1), score=0.1)
    tracks = link(boxes_of(tmp_path, lines), VIDEO, min_score=0.7, max_gap=1.0)
    assert frames_by_track(tracks) == {1: WHOLE, 2: WHOLE}


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    def without(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(dependencies, "import_module", without)
    with pytest.raises(ImportError, match=r"'trackers'.* `pip install torchreid-occ\[footage\]`"):
        link(boxes_of(tmp_path, mot_lines()), VIDEO, 0.7, 1.0)
