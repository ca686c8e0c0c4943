"""ONNX detectors: the forms of their outputs, from small files, and a real FastestDet."""

import cv2
import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnx_files import write_onnx
from support import REPOSITORY
from torch import tensor
from torchvision.ops import box_iou

from torchreid_occ.footage.boxes import read_mot
from torchreid_occ.footage.detectors import build_detector, default_min_score
from torchreid_occ.footage.onnx_detector import GREY, OnnxDetector, _letterboxed, _stretched

REAL = REPOSITORY.parent / "shared" / "real"
FASTEST = REAL / "models" / "FastestDet.onnx"
SIZE = 64  # of the input; YOLO's three grids have 64, 16 and 4 cells
CELLS = 84


def detector_of(path, output, size=SIZE):
    """A detector that answers the same to every frame."""
    constant = helper.make_node(
        "Constant", [], ["found"], value=numpy_helper.from_array(output.astype(np.float32))
    )
    shapes = {"images": [1, 3, size, size]}, {"found": list(output.shape)}
    return OnnxDetector(write_onnx(path, [constant], *shapes))


def test_yolo_without_objectness(tmp_path):
    output = np.zeros((1, 4 + 3, CELLS))
    output[0, :, 5] = 32, 20, 8, 16, 0.9, 0.1, 0  # middle, size, classes
    output[0, :, 6] = 33, 21, 8, 16, 0.8, 0.1, 0  # the same person again
    output[0, :, 7] = 10, 20, 8, 16, 0.2, 0.7, 0  # another class, with a weak person
    output[0, :, 8] = 50, 50, 4, 4, 0.05, 0, 0
    corners, scores = detector_of(tmp_path / "v8.onnx", output)(np.zeros((64, 64, 3), np.uint8))
    assert corners.tolist() == [[28, 12, 36, 28], [6, 12, 14, 28]]
    assert scores.tolist() == pytest.approx([0.9, 0.2])


def test_yolo_with_objectness(tmp_path):
    output = np.zeros((1, 3 * CELLS, 5 + 1))
    output[0, 100] = 32, 20, 8, 16, 0.5, 0.8
    corners, scores = detector_of(tmp_path / "v5.onnx", output)(np.zeros((64, 64, 3), np.uint8))
    assert corners.tolist() == [[28, 12, 36, 28]] and scores.tolist() == pytest.approx([0.4])


def test_yolo_with_its_own_suppression(tmp_path):
    output = np.zeros((1, 10, 6))
    output[0, 0] = 28, 12, 36, 28, 0.9, 0
    output[0, 1] = 8, 12, 16, 28, 0.8, 2  # another class
    corners, scores = detector_of(tmp_path / "v10.onnx", output)(np.zeros((64, 64, 3), np.uint8))
    assert corners.tolist() == [[28, 12, 36, 28]] and scores.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("rows", [0, 1, 5, 6])
def test_few_rows_of_its_own_suppression(tmp_path, rows):
    output = np.zeros((1, rows, 6))
    output[0, :1] = 28, 12, 36, 28, 0.9, 0
    corners, _ = detector_of(tmp_path / "few.onnx", output)(np.zeros((64, 64, 3), np.uint8))
    assert corners.tolist() == [[28, 12, 36, 28]] * min(rows, 1)


def test_yolos_frame_keeps_its_proportions(tmp_path):
    output = np.zeros((1, 10, 6))
    output[0, 0] = 16, 16, 32, 48, 0.9, 0
    frame = np.zeros((64, 128, 3), np.uint8)
    frame[..., 2] = 255  # red, in OpenCV's order
    corners, _ = detector_of(tmp_path / "v10.onnx", output)(frame)
    assert corners.tolist() == [[32, 0, 64, 64]]  # the input has half the size and 16 grey rows
    placed = _letterboxed(frame, (64, 64))
    assert placed.pixels.shape == (1, 3, 64, 64) and placed.pixels.dtype == np.float32
    assert placed.pixels[0, :, 0, 0].tolist() == pytest.approx([GREY / 255] * 3)
    assert placed.pixels[0, :, 32, 32].tolist() == [1, 0, 0]


def test_fastestdets_grid(tmp_path):
    output = np.full((1, 5 + 2, 2, 4), -9.0)
    output[0, [0, 5, 6]] = 0
    # In the second row and third column: half a cell to the right, a quarter and all of the input.
    output[0, :, 1, 2] = 0.5, np.arctanh(0.5), 0, -np.log(3), 20, 0.8, 0.2
    output[0, :, 0, 0] = 0.9, 0, 0, 0, 0, 0.4, 0.6  # another class
    frame = np.zeros((100, 200, 3), np.uint8)
    corners, scores = detector_of(tmp_path / "grid.onnx", output)(frame)
    np.testing.assert_allclose(corners, [[100, 0, 150, 100]], atol=0.01)
    assert scores.tolist() == pytest.approx([0.5**0.6 * 0.8**0.4])
    frame[..., 2] = 255
    assert _stretched(frame, (64, 64)).pixels[0, :, 3, 3].tolist() == [0, 0, 1]


@pytest.mark.parametrize("shape", [(1, 10), (1, 4, 10), (2, 10, 6)])
def test_other_outputs_are_refused_before_any_frame(tmp_path, shape):
    with pytest.raises(ValueError, match=r"other\.onnx is no detector .*its first output is \("):
        detector_of(tmp_path / "other.onnx", np.zeros(shape))


def test_other_inputs_are_refused(tmp_path):
    relu = helper.make_node("Relu", ["x"], ["y"])
    path = write_onnx(tmp_path / "flat.onnx", [relu], {"x": [1, 3]}, {"y": [1, 3]})
    with pytest.raises(
        ValueError, match=r"are \[\('x', \[1, 3\], 'tensor\(float\)'\)\], but expected one"
    ):
        OnnxDetector(path)


def test_an_onnx_file_is_named_in_place_of_a_detector(tmp_path):
    path = tmp_path / "v10.onnx"
    detector_of(path, np.zeros((1, 10, 6)))
    corners, scores = build_detector(str(path))(np.zeros((8, 8, 3), np.uint8))
    assert corners.shape == (0, 4) and scores.shape == (0,)
    assert default_min_score(str(path)) == 0.5
    with pytest.raises(ValueError, match=r"v10\.onnx has no weights to load"):
        build_detector(str(path), weights="w.pth")
    with pytest.raises(FileNotFoundError, match=r"There is no ONNX file .*absent\.onnx"):
        build_detector(str(tmp_path / "absent.onnx"))


@pytest.mark.skipif(not FASTEST.is_file(), reason="needs the real footage beside the checkout")
@pytest.mark.parametrize(
    ("video", "boxes", "share"),
    [("pets/view1_first400.avi", "pets/gt.txt", 0.6), ("two_views/Double1.mp4", None, 0.5)],
)
def test_a_real_detector_finds_real_people(video, boxes, share):
    known = read_mot(REAL / (boxes or video.replace("mp4", "txt")))
    detector, reader = OnnxDetector(FASTEST), cv2.VideoCapture(str(REAL / video))
    found = []
    for number in range(1, 82):
        frame = reader.read()[1]
        if number % 20 == 1:
            true = known.corners[(known.frame == number) & (known.score > 0.7)]
            corners, scores = detector(frame)
            overlaps = box_iou(tensor(true), tensor(corners[scores >= 0.4]).double())
            found += (overlaps.amax(1) > 0.5).tolist()
    assert len(found) >= 5 and np.mean(found) > share
