"""Detectors of people in a frame: OpenCV's HOG, which needs no weights, and torchvision's."""

import cv2
import numpy as np
import torch
import torchvision
from torchvision.models import detection

from torchreid_occ.utils.checkpoint import weights_by_name
from torchreid_occ.utils.weights import torchvision_weights

HOG = "hog"
PERSON = 1  # the label of people in COCO, whose first category they are
COCO_CLASSES = 91
_OVERLAP = 0.5  # from which two windows of HOG are one person


def detector_names() -> list[str]:
    """HOG, and torchvision's names of detectors."""
    return [HOG, *torchvision.models.list_models(module=detection)]


def build_detector(name: str, weights: str | None = None, min_height: float = 0):
    """Builds a detector: a function from a frame to corners ``(N, 4)`` and scores ``(N,)``.

    Args:
        name: One of `detector_names`.
        weights: A state dict of one's own for a detector of torchvision, in which label 1 is
            people; torchvision's own weights if None.
        min_height: Pixels of the lowest people worth finding.

    Raises:
        ValueError: If the name is unknown, or the weights do not fit.
        FileNotFoundError: If there is no such file of weights.
        ImportError: If this OpenCV comes without HOG.
        WeightsUnavailable: If torchvision's weights can't be had; says which file goes where.
    """
    if name not in detector_names():
        raise ValueError(f"Unknown detector {name!r}: expected one of {detector_names()}.")
    if name != HOG:
        return TorchvisionDetector(name, weights)
    if weights:
        raise ValueError("The detector hog has no weights to load: leave --weights out.")
    return HogDetector(min_height)


class HogDetector:
    """Histograms of oriented gradients and a linear classifier (Dalal and Triggs, CVPR 2005).

    It finds upright people of whom all is seen, and scores them by the distance from the
    classifier's boundary, of which less than 0.5 is noise. Its window is 128 pixels high with 16
    above and below the person, so frames are enlarged where lower people count.

    Args:
        min_height: Pixels of the lowest people worth finding.
    """

    _WINDOW, _PERSON, _LEAST = (64, 128), 96, 0.5

    def __init__(self, min_height: float):
        if not hasattr(cv2, "HOGDescriptor"):
            raise ImportError(
                f"OpenCV {cv2.__version__} comes without HOG, which version 5 moved to its contrib "
                "modules. `pip install --no-deps opencv-contrib-python==VERSION`, of the version "
                "that `pip show opencv-python` names, lays these over it."
            )
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
        self._scale = max(1.0, self._PERSON / min_height) if min_height else 1.0

    def __call__(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finds people in a frame in OpenCV's order of colours."""
        frame = cv2.resize(frame, None, fx=self._scale, fy=self._scale)
        if frame.shape[1] < self._WINDOW[0] or frame.shape[0] < self._WINDOW[1]:
            return np.empty((0, 4)), np.empty(0)
        # Without its own grouping, which would leave no scores of single windows.
        windows, scores = self._hog.detectMultiScale(
            frame, self._LEAST, winStride=(8, 8), padding=(16, 16), scale=1.05, groupThreshold=0
        )
        windows = np.asarray(windows, np.float64).reshape(-1, 4)
        left, top, width, height = windows.T / self._scale
        # The person fills the middle of the window: 96 of its 128 rows, 32 of its 64 columns and,
        # with arms, somewhat more.
        corners = (left + width * 0.18, top + height / 8, left + width * 0.82, top + height * 7 / 8)
        corners = np.stack(corners, axis=1)
        scores = np.asarray(scores, np.float64).reshape(-1)
        kept = torchvision.ops.nms(torch.tensor(corners), torch.tensor(scores), _OVERLAP)
        return corners[kept.numpy()], scores[kept.numpy()]


class TorchvisionDetector:
    """A detector of torchvision; boxes of people with the probability that they are.

    Args:
        name: Its name in torchvision.
        weights: A state dict of one's own; torchvision's own weights if None.
    """

    def __init__(self, name: str, weights: str | None = None):
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = _with_own_weights(name, weights) if weights else _with_trained_weights(name)
        self._model = model.eval().to(self._device)

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finds people in a frame in OpenCV's order of colours."""
        image = torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1).to(self._device)
        found = self._model([image / 255])[0]
        people = found["labels"] == PERSON
        return found["boxes"][people].cpu().numpy(), found["scores"][people].cpu().numpy()


def _with_trained_weights(name):
    weights = torchvision.models.get_model_weights(name).DEFAULT
    # Makes sure of the file, or says where it goes; torchvision then reads it in its own way.
    torchvision_weights(
        weights,
        f"Weights of {name}",
        f"take the detector {HOG}, or weights of your own (--weights)",
    )
    return torchvision.models.get_model(name, weights=weights)


def _with_own_weights(name, path):
    weights = weights_by_name(path)
    # Only the two-stage detectors say in one place how many classes they tell apart.
    classes = len(weights.get("roi_heads.box_predictor.cls_score.bias", range(COCO_CLASSES)))
    model = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=classes
    )
    try:
        names = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit {name}: {error}") from error
    # Batch normalisation that was frozen in training has not counted its batches.
    wrong = [n for part in names for n in part if not n.endswith("num_batches_tracked")]
    if wrong:
        raise ValueError(
            f"{path} does not fit {name}: {len(wrong)} weights are missing or unknown, such as "
            f"{wrong[:3]}."
        )
    return model
