"""Detectors of people in a frame: OpenCV's HOG, torchvision's, and those of ONNX files."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torchvision
from torch import nn
from torchvision.models import detection

from torchreid_occ._types import StrPath
from torchreid_occ.footage.onnx_detector import OnnxDetector
from torchreid_occ.utils.checkpoint import weights_by_name
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.coco import NUM_CLASSES, PERSON_LABEL
from torchreid_occ.utils.weights import torchvision_weights

HOG, ONNX = "hog", ".onnx"
_BATCH = 8  # frames that a GPU gets at once
_OVERLAP = 0.5  # intersection over union from which two windows of HOG show one person

# From a frame (H, W, 3) in OpenCV's channel order to corners (N, 4) and scores (N,).
Detector: TypeAlias = Callable[
    [npt.NDArray[np.uint8]], tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]
]


def detector_names() -> list[str]:
    """Lists HOG and torchvision's names of detectors."""
    return [HOG, *torchvision.models.list_models(module=detection)]


def default_min_score(name: str | None) -> float:
    """Returns the lowest score of a detection that starts a track, by default.

    Args:
        name: The detector, whose scores are probabilities, or HOG's distances from a boundary; None
            for detections of a file.
    """
    if name == HOG:
        return 1.5
    return 0.5 if name is not None and name.endswith(ONNX) else 0.7


def build_detector(name: str, weights: StrPath | None = None, min_height: float = 0) -> Detector:
    """Builds a detector.

    Args:
        name: One of `detector_names`, or an ONNX file, see `OnnxDetector`.
        weights: File of a state dict for a detector of torchvision, in which label 1 is a person;
            torchvision's own weights if None.
        min_height: Height in pixels of the smallest people to find.

    Raises:
        ValueError: If the name is unknown, or the weights or the ONNX file do not fit.
        FileNotFoundError: If the file does not exist.
        ImportError: If this OpenCV has no HOG, or onnxruntime is not installed.
        WeightsUnavailable: If torchvision's weights are neither cached nor downloadable; says which
            file belongs where.
    """
    own = name == HOG or name.endswith(ONNX)
    if not own:
        check_choice("detector", name, [*detector_names(), f"FILE{ONNX}"])
        return TorchvisionDetector(name, weights)
    if weights:
        raise ValueError(f"The detector {name} has no weights to load: leave out weights.")
    return HogDetector(min_height) if name == HOG else OnnxDetector(name)


def batch_size(detector: Detector) -> int:
    """Returns how many frames a detector takes at once.

    Args:
        detector: The detector.
    """
    return detector.batch_size if isinstance(detector, TorchvisionDetector) else 1


def detect_batch(
    detector: Detector, frames: Sequence[npt.NDArray[np.uint8]]
) -> list[tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]]:
    """Finds people in frames of one size, together if the detector takes several.

    Args:
        detector: The detector.
        frames: At most as many frames as `batch_size`.

    Returns:
        Corners and scores of each frame.
    """
    if len(frames) > 1 and isinstance(detector, TorchvisionDetector):
        return detector.of_batch(frames)
    return [detector(frame) for frame in frames]


class HogDetector:
    """Histograms of oriented gradients and a linear classifier (Dalal and Triggs, CVPR 2005).

    It finds upright people who are not occluded. A score is the distance from the classifier's
    boundary; below 0.5 it is noise. The window is 128 pixels high, with 16 pixels above and below
    the person, so frames are enlarged to find people who are less than 96 pixels high.

    Args:
        min_height: Height in pixels of the smallest people to find.
    """

    _WINDOW, _PERSON_HEIGHT, _MIN_SCORE = (64, 128), 96, 0.5

    def __init__(self, min_height: float) -> None:
        if not hasattr(cv2, "HOGDescriptor"):
            raise ImportError(
                f"OpenCV {cv2.__version__} has no HOG, which version 5 moved to its contrib "
                "modules. `pip install --no-deps opencv-contrib-python==VERSION`, with the version "
                "that `pip show opencv-python` names, adds them."
            )
        self._hog: Any = cv2.HOGDescriptor()  # its types differ between OpenCV's wheels
        weights = np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32)
        self._hog.setSVMDetector(weights)
        self._scale = max(1.0, self._PERSON_HEIGHT / min_height) if min_height else 1.0

    def __call__(
        self, frame: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Finds people in a frame in OpenCV's channel order.

        Args:
            frame: The frame.
        """
        image = cv2.resize(frame, None, fx=self._scale, fy=self._scale)
        if image.shape[1] < self._WINDOW[0] or image.shape[0] < self._WINDOW[1]:
            return np.empty((0, 4)), np.empty(0)
        # OpenCV's own grouping of windows would drop their scores.
        found, scores = self._hog.detectMultiScale(
            image, self._MIN_SCORE, winStride=(8, 8), padding=(16, 16), scale=1.05, groupThreshold=0
        )
        windows = np.asarray(found, np.float64).reshape(-1, 4)
        left, top, width, height = windows.T / self._scale
        # The person fills the middle of the window: 96 of its 128 rows, 32 of its 64 columns and,
        # with arms, somewhat more.
        edges = (left + width * 0.18, top + height / 8, left + width * 0.82, top + height * 7 / 8)
        corners = np.stack(edges, axis=1)
        scores = np.asarray(scores, np.float64).reshape(-1)
        kept = torchvision.ops.nms(torch.tensor(corners), torch.tensor(scores), _OVERLAP)
        return corners[kept.numpy()], scores[kept.numpy()]


class TorchvisionDetector:
    """A detector of torchvision; a score is the probability that a box shows a person.

    Args:
        name: Name of the detector in torchvision.
        weights: File of a state dict; torchvision's own weights if None.

    Attributes:
        batch_size: Number of frames to give at once: more than one pays on a GPU only.
    """

    def __init__(self, name: str, weights: StrPath | None = None) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.batch_size = _BATCH if self._device.type == "cuda" else 1
        model = _with_own_weights(name, weights) if weights else _with_trained_weights(name)
        self._model = model.eval().to(self._device)

    def __call__(
        self, frame: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]:
        """Finds people in a frame in OpenCV's channel order.

        Args:
            frame: The frame.
        """
        return self.of_batch([frame])[0]

    @torch.inference_mode()
    def of_batch(
        self, frames: Sequence[npt.NDArray[np.uint8]]
    ) -> list[tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]]:
        """Finds people in frames in OpenCV's channel order.

        Args:
            frames: The frames.

        Returns:
            Corners and scores of each frame.
        """
        images = [
            torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1).to(self._device) / 255
            for frame in frames
        ]
        results = []
        for found in self._model(images):
            people = found["labels"] == PERSON_LABEL
            results.append(
                (found["boxes"][people].cpu().numpy(), found["scores"][people].cpu().numpy())
            )
        return results


def _with_trained_weights(name: str) -> nn.Module:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    # Caches the file, or says where it belongs; `get_model` then reads it from the cache.
    torchvision_weights(
        weights, f"Weights of {name}", f"use the detector {HOG}, or your own weights (`weights`)"
    )
    return torchvision.models.get_model(name, weights=weights)


def _with_own_weights(name: str, path: StrPath) -> nn.Module:
    weights = weights_by_name(path)
    # Two-stage detectors have a layer that tells the number of classes, others do not.
    classes = len(weights.get("roi_heads.box_predictor.cls_score.bias", range(NUM_CLASSES)))
    model: nn.Module = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=classes
    )
    try:
        names = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit {name}: {error}") from error
    # Batch normalisation that was frozen in training has no such counters.
    wrong = [n for part in names for n in part if not n.endswith("num_batches_tracked")]
    if wrong:
        raise ValueError(
            f"{path} does not fit {name}: {len(wrong)} weights are missing or unknown, such as "
            f"{wrong[:3]}."
        )
    return model
