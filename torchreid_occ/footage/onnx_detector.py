"""Detectors of people in ONNX files, in the forms of YOLO's and FastestDet's exports."""

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torchvision

from torchreid_occ._types import StrPath
from torchreid_occ.utils.onnx_session import frame_shape, open_session, shape_of

Floats = npt.NDArray[np.floating[Any]]

PERSON = 0  # the class of people in COCO's 80 classes, and the only one of a detector of people
COCO_CLASSES = 80
DEFAULT_SIZE = 640  # of an input whose size is free
GREY = 114  # what YOLO's frames are filled up with
STRIDES = (8, 16, 32)  # of YOLO's grids
_MIN_SCORE, _OVERLAP = 0.1, 0.5


class Placed(NamedTuple):
    """A frame as the network reads it, and how its pixels are found again.

    Attributes:
        pixels: The input, `(1, 3, H, W)`, float32.
        scale: Input pixels in a frame pixel, in x and y.
        offset: Input pixels left of and above the frame.
    """

    pixels: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]


class OnnxDetector:
    """A detector of people in an ONNX file; scores are between 0 and 1.

    The form is recognised by the shape of the first output, for C classes of which the first is a
    person:

    - `(1, 5 + C, h, w)`: FastestDet, a grid; the frame is stretched to the input, BGR in 0..1.
    - `(1, N, 5 + C)`: YOLOv5 to YOLOv7, with objectness.
    - `(1, 4 + C, N)`: YOLOv8, YOLOv9, YOLO11 and later, without.
    - `(1, N, 6)`: YOLOv10 and others exported with their suppression: corners, score, class.

    The frame of YOLO's keeps its proportions and is filled up with grey, RGB in 0..1.

    Args:
        file: The ONNX file.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If onnxruntime is not installed.
        ValueError: If it is damaged or no detector of a known form.
    """

    def __init__(self, file: StrPath) -> None:
        self._session = open_session(file)
        self._file = file
        shape = frame_shape(file, self._session, "detector of a known form")
        self._input = self._session.get_inputs()[0].name
        self._size = shape[2] or DEFAULT_SIZE, shape[3] or DEFAULT_SIZE
        self._is_grid = len(shape_of(self._session.get_outputs()[0])) == 4
        self(np.zeros((*self._size, 3), np.uint8))  # an unknown form is an error from the start

    def __call__(self, frame: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Finds people in a frame in OpenCV's channel order.

        Args:
            frame: The frame.
        """
        placed = (_stretched if self._is_grid else _letterboxed)(frame, self._size)
        output = self._session.run(None, {self._input: placed.pixels})[0]
        corners, scores = self._decoded(output)
        chosen = scores >= _MIN_SCORE
        corners = (corners[chosen] - np.tile(placed.offset, 2)) / np.tile(placed.scale, 2)
        boxes, kept_scores = torch.from_numpy(corners), torch.from_numpy(scores[chosen])
        kept = torchvision.ops.nms(boxes, kept_scores.to(boxes.dtype), _OVERLAP).numpy()
        return corners[kept], scores[chosen][kept]

    def _decoded(self, output: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Returns the corners of people in pixels of the input, `(N, 4)`, and their scores."""
        if output.ndim == 4 and len(output) == 1 and output.shape[1] > 5:
            return _grid(output[0], self._size)
        cells = sum((self._size[0] // stride) * (self._size[1] // stride) for stride in STRIDES)
        suppressed = output.shape[2:] == (6,)  # rows may be few, or none
        if output.ndim == 3 and len(output) == 1 and (suppressed or min(output.shape[1:]) >= 5):
            rows = output[0] if suppressed or output.shape[2] < output.shape[1] else output[0].T
            values = rows.shape[1]
            has_objectness = len(rows) == 3 * cells or values == 5 + COCO_CLASSES
            if values == 6 and not has_objectness and len(rows) != cells:
                return rows[:, :4], np.where(rows[:, 5] == PERSON, rows[:, 4], 0)
            person = rows[:, 4 + has_objectness + PERSON]
            score = rows[:, 4] * person if has_objectness else person
            middle, half = rows[:, :2], rows[:, 2:4] / 2
            return np.hstack([middle - half, middle + half]), score
        raise ValueError(
            f"{self._file} is no detector of a known form: its first output is {output.shape}, but "
            "expected (1, 5 + C, h, w), (1, N, 5 + C), (1, 4 + C, N) or (1, N, 6)."
        )


def _grid(output: npt.NDArray[np.float32], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Decodes FastestDet's grid: objectness, offsets and sizes, classes. Shape: `(5 + C, h, w)`."""
    objectness, (dx, dy, width, height), classes = output[0], output[1:5], output[5:]
    rows, columns = np.indices(objectness.shape)
    grid = np.array(objectness.shape)
    middle = np.stack([(columns + np.tanh(dx)) / grid[1], (rows + np.tanh(dy)) / grid[0]])
    half = np.stack([1 / (1 + np.exp(-width)), 1 / (1 + np.exp(-height))]) / 2
    corners = np.concatenate([middle - half, middle + half]).reshape(4, -1).T
    # The released code's score, of the likeliest class.
    score = objectness**0.6 * classes[PERSON] ** 0.4
    score = np.where(classes.argmax(0) == PERSON, score, 0)
    return corners * (size[1], size[0], size[1], size[0]), score.ravel()


def _stretched(frame: npt.NDArray[np.uint8], size: tuple[int, int]) -> Placed:
    height, width = size
    resized = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    scale = np.array([width / frame.shape[1], height / frame.shape[0]])
    return Placed(_as_input(np.asarray(resized, np.uint8)), scale, np.zeros(2))


def _letterboxed(frame: npt.NDArray[np.uint8], size: tuple[int, int]) -> Placed:
    scale = min(size[0] / frame.shape[0], size[1] / frame.shape[1])
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    canvas: npt.NDArray[np.uint8] = np.full((*size, 3), GREY, np.uint8)
    canvas[top : top + height, left : left + width] = cv2.resize(frame, (width, height))
    exact = np.array([width / frame.shape[1], height / frame.shape[0]])
    return Placed(_as_input(canvas[..., ::-1]), exact, np.array([left, top], np.float64))


def _as_input(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = np.ascontiguousarray(
        pixels.transpose(2, 0, 1)[None], np.float32
    )
    values /= 255
    return values
