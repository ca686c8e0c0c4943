import logging

import numpy as np
import pytest
from support import REPOSITORY

from torchreid_occ.footage.boxes import boxes_from_rows, mot_line, read_mot

LINES = ["3,-1,10,20,30,40,0.9,-1,-1,-1", "1,-1,1.5,2,3,4,0.5"]


def written(tmp_path, lines):
    path = tmp_path / "det.txt"
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    return path


def test_lines_in_any_order_are_boxes_by_frame(tmp_path):
    boxes = read_mot(written(tmp_path, [*LINES, "", " 1.0, -1, 5, 5, 0, -2, -7 "]))
    assert boxes.frame.tolist() == [1, 1, 3]
    assert boxes.corners.tolist() == [[1.5, 2, 4.5, 6], [5, 5, 5, 3], [10, 20, 40, 60]]
    assert boxes.score.tolist() == [0.5, -7, 0.9]
    assert not boxes.linked


def test_tracks_keep_their_ids(tmp_path):
    boxes = read_mot(written(tmp_path, ["2,7,0,0,1,1,1", "1,0,0,0,1,1,1"]))
    assert boxes.track.tolist() == [0, 7]
    assert boxes.linked


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,-1,2,3,4,5", "has fewer values than frame,id,left,top,width,height,score"),
        ("1 -1 2 3 4 5 6", "'1 -1 2 3 4 5 6' has fewer values"),
        ("0,-1,2,3,4,5,6", "the frame is 0, but frames count from 1"),
        ("1.5,-1,2,3,4,5,6", "the frame is '1.5', but expected a whole number"),
        ("1,-2,2,3,4,5,6", "the id is -2, but expected -1"),
        ("1,-1,left,3,4,5,6", "the left is 'left', but expected a number"),
        ("1,-1,2,3,nan,5,6", "the width is 'nan', but expected a number"),
        ("1e300,-1,2,3,4,5,6", "the frame is '1e300', but expected a whole number"),
        ("1,-1,2,3,4,inf,6", "the height is 'inf'"),
        ("1,-1,2,3,4,5," + "9" * 500, r"the score is '9{60}\.\.\.'"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    with pytest.raises(ValueError, match=rf"det\.txt, line 3: .*{message}"):
        read_mot(written(tmp_path, [*LINES, line]))


def test_a_track_appears_once_in_a_frame(tmp_path):
    with pytest.raises(ValueError, match="line 2: track 4 is already in frame 1, in line 1"):
        read_mot(written(tmp_path, ["1,4,0,0,1,1,1", "1,4,9,9,1,1,1"]))


def test_rows_without_a_track_are_left_out_of_tracks(tmp_path, caplog):
    """As `trackers track --mot-output` writes them."""
    lines = ["1,-1,0,0,9,9,0.4", "1,-1,0,0,9,9,0.3", "1,4,0,0,1,1,0.9", "2,0,5,5,1,1,0.2"]
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        boxes = read_mot(written(tmp_path, lines))
    assert (boxes.track.tolist(), boxes.frame.tolist(), boxes.linked) == ([4, 0], [1, 2], True)
    assert "det.txt: left out, of 4 rows: 2 have the id -1 among others" in caplog.text


GROUND_TRUTH = [  # MOT17: flag, class, visibility
    "1,1,10,10,20,40,1,1,1.0",
    "1,2,50,10,20,40,0,1,0.5",  # a pedestrian who is not to be tracked
    "1,3,70,10,20,40,0,3,1",
    "1,4,10,10,20,40,0,12,0.25",
    "1,5,10,10,20,40,1,7,0.25",  # someone who sits, though flagged 1
    "2,1,11,10,20,40,1,1,0",
]


def test_ground_truth_marks_what_is_no_person(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        boxes = read_mot(written(tmp_path, GROUND_TRUTH))
    assert boxes.track.tolist() == [1, 1] and boxes.frame.tolist() == [1, 2]
    assert "of 6 rows: 3 are flagged 0, as ground truth" in caplog.text
    assert "1 are of a class that is no pedestrian" in caplog.text
    with pytest.raises(
        ValueError, match=r"no boxes of people: of 2 rows 1 are flagged 0.*; 1 are of"
    ):
        read_mot(written(tmp_path, GROUND_TRUTH[3:5]))


@pytest.mark.parametrize("end", ["", ",-1,-1,-1", ",4.4852,5.5016,0", ",3,1,0", ",7,0.5,1"])
def test_a_flag_of_0_is_no_person_and_world_coordinates_are_no_class(tmp_path, end):
    """Ground truth of MOT15; the last values may look like a class and a visibility."""
    lines = [f"{frame},{frame % 3},0,0,9,9,{int(frame > 2)}{end}" for frame in range(1, 7)]
    assert read_mot(written(tmp_path, lines)).frame.tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize("score", ["-1", "1", "0", "0.5"])
@pytest.mark.parametrize("end", ["", ",-1,-1,-1", ",-1,-1", ",2.5,0.5", ",0,1"])
def test_tracks_of_a_tracker_stay(tmp_path, score, end):
    lines = [f"{frame},{frame % 3},0,0,9,9,{score}{end}" for frame in range(1, 7)]
    assert len(read_mot(written(tmp_path, lines))) == 6


@pytest.mark.parametrize("end", [",-1,-1,-1", ",4.13165,1.86548,0", ",3,0.5", ",2,1,0", ",0,0,1"])
@pytest.mark.parametrize("score", ["1", "117.87", "-0.2", "0"])
def test_detections_have_neither_flag_nor_class(tmp_path, end, score):
    lines = [f"{frame},-1,0,0,9,9,{score if frame > 2 else 1}{end}" for frame in range(1, 7)]
    boxes = read_mot(written(tmp_path, lines))
    assert len(boxes) == 6 and not boxes.linked


def test_a_flagged_row_may_repeat_a_track(tmp_path):
    lines = ["1,4,0,0,1,1,1", "1,4,9,9,1,1,0", "2,4,0,0,1,1,1"]
    assert read_mot(written(tmp_path, lines)).frame.tolist() == [1, 2]


PLAIN = ["1,-1,10,20,30,40,0.9", "2,-1,11.5,20,30,40,0.8"]


@pytest.mark.parametrize(
    "lines",
    [
        PLAIN,
        [line.replace(",", " ") for line in PLAIN],
        [line.replace(",", "\t") for line in PLAIN],
        [line.replace(",", "  \t ") for line in PLAIN],
        [line.replace(",", ";") for line in PLAIN],
        [line.replace(",", ", ") for line in PLAIN],
        [line + "," for line in PLAIN],
        ["frame,id,left,top,width,height,score", *PLAIN],
        ["# Frame, Track ID, bb_left, bb_top, bb_width, bb_height, conf", "", *PLAIN],
        ["# made on 27 November, at noon", *PLAIN, "% end"],
        ["frame;x;y;w;h;conf", "1;10;20;30;40;0.9", "2;11.5;20;30;40;0.8"],
        ["x1 y1 x2 y2 confidence frame", "10 20 40 60 0.9 1", "11.5 20 41.5 60 0.8 2"],
    ],
)
def test_dialects_are_read_alike(tmp_path, lines):
    boxes = read_mot(written(tmp_path, lines))
    assert boxes.frame.tolist() == [1, 2] and boxes.track.tolist() == [-1, -1]
    assert boxes.corners.tolist() == [[10, 20, 40, 60], [11.5, 20, 41.5, 60]]
    assert boxes.score.tolist() == [0.9, 0.8]


def test_six_columns_have_no_score(tmp_path):
    boxes = read_mot(written(tmp_path, ["1,7,10,20,30,40", "2,7,10,20,30,40"]))
    assert boxes.linked and boxes.score.tolist() == [1, 1]
    assert boxes.corners[0].tolist() == [10, 20, 40, 60]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,10,20,30,40,0.9", "2,11,20,30,40,1"], "six columns, of which the last is at most 1"),
        (["1;-1;10,5;20;30;40;0,9"], "line 1: the left is '10,5', but expected a number"),
        (["1 -1 10,5 20 30 40 0,9"], "line 1: '1 -1 10,5 20 30 40 0,9' is neither a box"),
        (["frame,id,cx,cy,width,height,score", *PLAIN], "line 1: 'frame,id,cx,cy.*nor a header"),
        (["walked by", "at noon"], "line 1: 'walked by' is neither a box"),
        (["frame,id,x,y,w,h,conf", "1,2,3,4,5,6"], "line 2: .* has fewer values than the header"),
        (
            ["frame,x,y,w,h,conf,class", "1,2,3,4,5,0.6,0", "1,2,3,4,5,0.6,2"],
            "has the classes 0, 2, whose numbers differ",
        ),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        read_mot(written(tmp_path, lines))


def test_classes_by_name(tmp_path):
    lines = ["frame,x,y,w,h,conf,class", "1,2,3,4,5,0.6,Person", "1,2,3,4,5,0.6,car"]
    assert len(read_mot(written(tmp_path, lines))) == 1


REAL = REPOSITORY.parent / "shared" / "real" / "mot_text"


@pytest.mark.skipif(not REAL.is_dir(), reason="needs real files of MOTChallenge")
@pytest.mark.parametrize(
    ("name", "rows", "tracks"),
    [
        ("MOT15_TUD-Stadtmitte_det", 1129, 1),
        ("MOT15_TUD-Stadtmitte_gt", 1156, 10),
        ("MOT17-05_gt", 6917, 133),  # of 8,013 rows and 156 tracks
        ("MOT17-05_tracker", 6794, 149),
    ],
)
def test_real_files(name, rows, tracks):
    boxes = read_mot(REAL / f"{name}.txt")
    assert (len(boxes), len(np.unique(boxes.track))) == (rows, tracks)


def test_files_without_boxes(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file of detections .*gone\.txt"):
        read_mot(tmp_path / "gone.txt")
    with pytest.raises(ValueError, match=r"det\.txt holds no boxes"):
        read_mot(written(tmp_path, ["", " "]))
    (tmp_path / "det.txt").write_bytes(b"1,-1,\xff\xfe")
    with pytest.raises(ValueError, match=r"det\.txt is not UTF-8 text"):
        read_mot(tmp_path / "det.txt")


def test_a_detection_is_read_as_it_was_written(tmp_path):
    boxes = read_mot(written(tmp_path, [mot_line(8, (1.25, 2.5, 4.5, 8.0), 0.1234)]))
    assert boxes.frame.tolist() == [8] and boxes.score.tolist() == [0.1234]
    np.testing.assert_allclose(boxes.corners, [[1.25, 2.5, 4.5, 8.0]], atol=0.006)


def test_no_rows_are_no_boxes():
    assert len(boxes_from_rows([])) == 0
