"""Geometry and thresholds with a network that sees what is white, and the real network."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from torchreid_occ.annotate.blazepose import BlazePose, PoseFinder
from torchreid_occ.annotate.blazepose_weights import SHA256, cached_blazepose
from torchreid_occ.annotate.quality import accuracy
from torchreid_occ.data.images import read_image
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.utils.files import file_hash

SHOULDERS, HIPS, KNEES = (11, 12), (23, 24), (25, 26)


class SquareSeer:
    """Stands for LiteRT's interpreter: all points are the middle of what is white, which is the
    mask; those of the knees are hardly visible."""

    presence = 0.9
    outputs = ((1, 195), (1, 1), (1, 256, 256, 1), (1, 117))

    def __init__(self, file, num_threads):
        assert num_threads >= 1
        if file.endswith("no.tflite"):
            raise ValueError("Model provided has model identifier 'abc'")

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [{"shape": np.array([1, 256, 256, 3]), "index": 7}]

    def get_output_details(self):
        return [{"shape": np.array(shape), "index": n} for n, shape in enumerate(self.outputs)]

    def set_tensor(self, index, value):
        assert index == 7 and value.dtype == np.float32 and value.shape == (1, 256, 256, 3)
        assert value.min() >= 0 and value.max() <= 1
        self.image = value[0]

    def invoke(self):
        self.white = self.image.min(-1) > 0.5
        self.points = np.zeros((39, 5), np.float32)
        rows, columns = np.nonzero(self.white)
        if len(rows):
            self.points[:, 0], self.points[:, 1] = columns.mean() + 0.5, rows.mean() + 0.5
        self.points[:, 3] = 4.0
        self.points[list(KNEES), 3] = -4.0

    def get_tensor(self, index):
        logits = np.where(self.white, 5.0, -5.0)[None, ..., None]
        return (self.points.reshape(1, -1), np.array([[self.presence]]), logits, None)[index]


@pytest.fixture
def litert(monkeypatch):
    module = ModuleType("ai_edge_litert.interpreter")
    seer = type("Seer", (SquareSeer,), {})
    module.Interpreter = seer
    monkeypatch.setitem(sys.modules, "ai_edge_litert", ModuleType("ai_edge_litert"))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
    return seer


@pytest.mark.parametrize(("height", "width"), [(120, 40), (40, 120), (64, 64), (1, 1)])
def test_points_and_mask_are_those_of_the_frame(litert, height, width):
    frame = np.zeros((height, width, 3), np.uint8)
    top, left = height // 4, width // 4
    bottom, right = top + max(1, height // 2), left + max(1, width // 4)
    frame[top:bottom, left:right] = 255
    pose = BlazePose("a.tflite")(frame)
    x, y = (left + right) / 2 / width, (top + bottom) / 2 / height
    assert pose.points.shape == (33, 3) and pose.points.dtype == np.float32
    np.testing.assert_allclose(pose.points[:, :2], np.tile([x, y], (33, 1)), atol=0.01)
    assert pose.points[0, 2] == pytest.approx(1 / (1 + np.exp(-4)))
    assert pose.presence == pytest.approx(0.9)
    expected = 255 * (frame[..., 0] > 0)
    assert pose.mask.shape == (height, width) and pose.mask.dtype == np.uint8
    assert (pose.mask != expected).sum() <= height + width  # edges may move by a pixel
    assert pose.mask[(top + bottom) // 2, (left + right) // 2] == 255


def test_lines_follow_the_visible_points(litert):
    frame = np.zeros((100, 50, 3), np.uint8)
    frame[40:60, 20:30] = 255
    finder = PoseFinder(BlazePose("a.tflite"), 0.3, 0.3)
    (found,) = finder([Image.fromarray(frame)])
    assert found.score == pytest.approx(0.9)
    # Shoulders and hips lie in one place; the knees are not visible.
    np.testing.assert_allclose(found.lines[[0, 1, 3]], [0.5, 0.5, 0.5], atol=0.01)
    assert np.isnan(found.lines[2])
    np.testing.assert_array_equal(found.foreground, found.pose.mask)
    (found,) = PoseFinder(BlazePose("a.tflite"), 0.3, 0.01)([Image.fromarray(frame)])
    assert found.lines[2] == pytest.approx(0.5, abs=0.01)


def test_a_low_presence_is_no_person(litert):
    litert.presence = 0.2
    frame = Image.new("RGB", (50, 100), "white")
    (found,) = PoseFinder(BlazePose("a.tflite"), 0.3, 0.3)([frame])
    assert found.score is None and found.foreground is None and np.isnan(found.lines).all()
    assert found.pose.presence == pytest.approx(0.2) and found.pose.mask is None
    assert found.pose.points.shape == (33, 3)


def test_an_empty_mask_is_no_foreground(litert):
    (found,) = PoseFinder(BlazePose("a.tflite"), 0.3, 0.3)([Image.new("RGB", (50, 100), "black")])
    assert found.score is not None and found.foreground is None


def test_another_network_is_refused(litert):
    with pytest.raises(ValueError, match=r"no\.tflite is no network of LiteRT .*identifier 'abc'"):
        BlazePose("no.tflite")
    litert.outputs = ((1, 195), (1, 1))
    with pytest.raises(ValueError, match=r"b\.tflite is no network of BlazePose's key points"):
        BlazePose("b.tflite")


def test_without_litert_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(ImportError, match=r"'ai_edge_litert'.*torchreid-occ\[annotate\]"):
        BlazePose("a.tflite")


def is_cached():
    return cached_blazepose().is_file() and file_hash(cached_blazepose()) == SHA256


@pytest.mark.skipif(not is_cached(), reason="BlazePose's file has not been downloaded")
def test_the_real_network_is_near_the_truth(occwalk_root):
    clean = load_dataset("occwalk_tiny.clean", str(occwalk_root))
    paths = [item[0][0] for item in tracklets_of(clean)["train"][::3]]
    finder = PoseFinder(BlazePose(cached_blazepose()), 0.3, 0.3)
    found = dict(zip(paths, finder([read_image(path) for path in paths]), strict=True))
    lookup = SimpleNamespace(
        keypoints=lambda path: found[path].lines, foreground=lambda path: found[path].foreground
    )
    values = accuracy(paths, lookup, clean.supervision())
    for row in ("shoulder row", "hip row", "knee row"):
        assert len(values[row]) > 0.9 * len(paths)
        assert np.median(values[row]) < 0.04
    assert np.median(values["foreground"]) > 0.7
