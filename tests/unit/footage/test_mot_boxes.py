import numpy as np
import pytest

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


def test_detections_and_tracks_do_not_mix(tmp_path):
    with pytest.raises(ValueError, match=r"det\.txt mixes detections"):
        read_mot(written(tmp_path, ["1,4,0,0,1,1,1", *LINES]))


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
