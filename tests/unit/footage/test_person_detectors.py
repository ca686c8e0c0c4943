import copy

import cv2
import numpy as np
import pytest
import torch
import torchvision

from torchreid_occ.footage import detectors
from torchreid_occ.footage.detectors import HogDetector, build_detector, detector_names
from torchreid_occ.models import WeightsUnavailable

SMALLEST = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def model():
    return torchvision.models.get_model(SMALLEST, weights=None, weights_backbone=None)


@pytest.fixture
def quick_model(model, monkeypatch):
    """Spares the building of further models, most of which is drawing weights."""
    build = lambda *_, **__: copy.deepcopy(model)  # noqa: E731
    monkeypatch.setattr(detectors.torchvision.models, "get_model", build)
    return model


class FakeHog:
    """OpenCV's HOG as it answers, without OpenCV's contrib modules."""

    @staticmethod
    def getDefaultPeopleDetector():  # noqa: N802
        return []

    def setSVMDetector(self, weights):  # noqa: N802
        pass

    def detectMultiScale(self, frame, hitThreshold, groupThreshold, **_):  # noqa: N802, N803
        assert (hitThreshold, groupThreshold) == (0.5, 0)
        self.shape = frame.shape
        if frame.max() == 0:
            return (), ()
        windows = [[100, 50, 64, 128], [104, 50, 64, 128], [300, 50, 64, 128]]
        return np.array(windows, np.int32), np.array([0.6, 1.5, 0.75])


@pytest.fixture
def fake_hog(monkeypatch):
    monkeypatch.setattr(cv2, "HOGDescriptor", FakeHog, raising=False)


def test_hog_keeps_the_best_window_of_a_person_and_its_middle(fake_hog):
    corners, scores = HogDetector(96)(np.ones((200, 400, 3), np.uint8))
    assert scores.tolist() == [1.5, 0.75]
    width, height = corners[0, 2:] - corners[0, :2]
    assert (width, height) == (pytest.approx(0.64 * 64), 96)
    assert (corners[0, :2] + corners[0, 2:]).tolist() == [2 * (104 + 32), 2 * (50 + 64)]


def test_hog_enlarges_frames_to_find_smaller_people(fake_hog):
    large, small = HogDetector(96), HogDetector(48)
    frame = np.ones((200, 400, 3), np.uint8)
    assert (small(frame)[0] == large(frame)[0] / 2).all()
    assert (large._hog.shape, small._hog.shape) == ((200, 400, 3), (400, 800, 3))


def test_hog_finds_no_person(fake_hog):
    for frame in (np.zeros((200, 400, 3), np.uint8), np.ones((60, 400, 3), np.uint8)):
        corners, scores = HogDetector(96)(frame)
        assert corners.shape == (0, 4) and scores.shape == (0,)


def test_the_error_without_hog_names_the_package_to_install(monkeypatch):
    monkeypatch.delattr(cv2, "HOGDescriptor", raising=False)
    with pytest.raises(ImportError, match="pip install --no-deps opencv-contrib-python=="):
        build_detector("hog")


@pytest.mark.skipif(not hasattr(cv2, "HOGDescriptor"), reason="needs opencv-contrib-python")
def test_the_real_hog_runs():
    corners, scores = HogDetector(96)(np.zeros((200, 300, 3), np.uint8))
    assert corners.shape == (0, 4) and scores.shape == (0,)


def test_unknown_names_and_weights_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'Received detector "yolo", .* one of \[.hog., .fast'):
        build_detector("yolo")
    with pytest.raises(ValueError, match="hog has no weights"):
        build_detector("hog", weights="w.pth")
    assert SMALLEST in detector_names()


def test_own_weights_detect_only_label_1(tmp_path, monkeypatch, quick_model):
    path = tmp_path / "own.pth"
    weights = {
        name: weight + 1
        for name, weight in quick_model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(weights, path)
    detector = build_detector(SMALLEST, str(path))
    own = detector._model.state_dict()
    assert all((own[name] == weight).all() for name, weight in weights.items())

    def forward(images):
        assert images[0].tolist() == [[[1.0]], [[0.0]], [[0.0]]]  # red, in the order RGB
        boxes = torch.arange(8.0).reshape(2, 4)
        return [
            {"boxes": boxes, "labels": torch.tensor([3, 1]), "scores": torch.tensor([0.9, 0.8])}
        ]

    monkeypatch.setattr(detector, "_model", forward)
    corners, scores = detector(np.array([[[0, 0, 255]]], np.uint8))
    assert corners.tolist() == [[4, 5, 6, 7]] and scores.tolist() == [pytest.approx(0.8)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": torch.zeros(1)}, r"1 weights are missing or unknown, such as \['more'\]"),
        (
            {"backbone.features.0.0.0.weight": torch.zeros(1)},
            "does not fit ssdlite320.*size mismatch",
        ),
    ],
)
def test_weights_that_do_not_fit(tmp_path, quick_model, change, message):
    torch.save({**quick_model.state_dict(), **change}, tmp_path / "own.pth")
    with pytest.raises(ValueError, match=rf"(?s)own\.pth.*{message}"):
        build_detector(SMALLEST, str(tmp_path / "own.pth"))


def test_a_two_stage_detector_has_the_number_of_classes_of_its_weights(tmp_path, monkeypatch):
    asked = []

    def get_model(name, **options):
        asked.append(options["num_classes"])
        return torch.nn.Linear(1, 1)

    monkeypatch.setattr(detectors.torchvision.models, "get_model", get_model)
    for weights in (
        {"roi_heads.box_predictor.cls_score.bias": torch.zeros(2)},
        {"bias": torch.zeros(1)},
    ):
        torch.save(weights, tmp_path / "own.pth")
        with pytest.raises(ValueError, match="missing or unknown"):
            build_detector("fasterrcnn_resnet50_fpn", str(tmp_path / "own.pth"))
    assert asked == [2, 91]


def test_the_error_without_weights_names_their_path(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "ssdlite320_mobilenet_v3_large_coco-a79551df.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"cut short")
    with pytest.raises(WeightsUnavailable, match=rf"at {cached}.*use the detector hog"):
        build_detector(SMALLEST)
