"""BlazePose: 33 key points with visibility and the mask of the person in a crop.

Reference: Bazarevsky et al. BlazePose: On-device Real-time Body Pose Tracking. CV4ARVR 2020. The
network is MediaPipe's `pose_landmark_full.tflite`, applied to the whole crop: MediaPipe's detector
of people, which would choose the square, misses many people in small crops.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from torchreid_occ._types import StrPath
from torchreid_occ.annotate.finder import FrameAnnotation
from torchreid_occ.annotate.lines import four_lines
from torchreid_occ.data.poses import Pose
from torchreid_occ.utils.dependencies import import_optional

SIZE = 256  # of the network's input in pixels
MARGIN = 1.25  # side of the square around the crop, in longer sides of the crop
NUM_POINTS = 33  # the network gives six more, which only place the square in the next frame
# Places of COCO's 17 key points among BlazePose's.
COCO_POINTS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
# Shapes of the outputs: x, y and z in pixels of the input with the logits of visibility and
# presence of each point; presence of a person; logits of the mask.
POINTS, PRESENCE, MASK = (1, 195), (1, 1), (1, SIZE, SIZE, 1)


class BlazePose:
    """Runs the network on one crop at a time, as its batch size is fixed.

    Args:
        file: The `.tflite` file.

    Raises:
        ImportError: If `ai-edge-litert` is not installed; says what to install.
        ValueError: If the file is no such network.
    """

    def __init__(self, file: StrPath) -> None:
        _, interpreter = import_optional(
            "ai_edge_litert", "ai_edge_litert.interpreter", extra="annotate"
        )
        try:
            self._network = interpreter.Interpreter(str(file), num_threads=torch.get_num_threads())
            self._network.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{file} is no network of LiteRT (.tflite): {error}.") from error
        inputs, outputs = self._network.get_input_details(), self._network.get_output_details()
        self._outputs = {_shape(detail): detail["index"] for detail in outputs}
        shapes = [_shape(detail) for detail in inputs]
        missing = [shape for shape in (POINTS, PRESENCE, MASK) if shape not in self._outputs]
        if shapes != [(1, SIZE, SIZE, 3)] or missing:
            raise ValueError(
                f"{file} is no network of BlazePose's key points, such as "
                f"pose_landmark_full.tflite: its inputs are {shapes} and its outputs "
                f"{[*self._outputs]}, but expected {[(1, SIZE, SIZE, 3)]} and, among others, "
                f"{[POINTS, PRESENCE, MASK]}."
            )
        self._input = inputs[0]["index"]

    def __call__(self, frame: npt.NDArray[np.uint8]) -> Pose:
        """Finds the person in a crop, with its mask whatever the presence.

        Args:
            frame: The crop, RGB.

        Shape:
            frame: `(H, W, 3)`.
        """
        height, width = frame.shape[:2]
        side = round(MARGIN * max(height, width))
        top, left = (side - height) // 2, (side - width) // 2
        square: npt.NDArray[np.uint8] = np.zeros((side, side, 3), np.uint8)
        square[top : top + height, left : left + width] = frame
        pixels = cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        self._network.set_tensor(self._input, np.asarray(pixels, np.float32)[None] / 255)
        self._network.invoke()
        points = self._output(POINTS).reshape(-1, 5)[:NUM_POINTS]
        xy = points[:, :2] * side / SIZE - (left, top)
        logits = self._output(MASK).reshape(SIZE, SIZE)
        enlarged = cv2.resize(logits, (side, side), interpolation=cv2.INTER_LINEAR)
        seen = enlarged[top : top + height, left : left + width] > 0
        return Pose(
            float(self._output(PRESENCE).item()),
            np.column_stack([xy / (width, height), _sigmoid(points[:, 3])]).astype(np.float32),
            (255 * seen).astype(np.uint8),
        )

    def _output(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        return np.asarray(self._network.get_tensor(self._outputs[shape]), np.float32)


class PoseFinder:
    """Derives lines and foreground from the poses of frames.

    Args:
        network: The network.
        min_presence: A frame of a lower presence shows no person.
        min_visibility: A key point of a lower visibility counts as not visible.
    """

    def __init__(self, network: BlazePose, min_presence: float, min_visibility: float) -> None:
        self._network = network
        self._min_presence, self._min_visibility = min_presence, min_visibility

    def __call__(self, frames: Sequence[Image.Image]) -> list[FrameAnnotation]:
        """Finds the person in each frame.

        Args:
            frames: The frames, of any sizes.
        """
        return [self._annotate(self._network(np.asarray(frame, np.uint8))) for frame in frames]

    def _annotate(self, pose: Pose) -> FrameAnnotation:
        if pose.presence < self._min_presence or pose.mask is None:
            nothing = np.full(4, np.nan, np.float32)
            return FrameAnnotation(None, nothing, None, pose._replace(mask=None))
        points = pose.points[list(COCO_POINTS)]
        # With fractions in place of pixels, the frame's size is 1 by 1.
        lines = four_lines(points[:, :2], points[:, 2] >= self._min_visibility, (1, 1))
        return FrameAnnotation(pose.presence, lines, pose.mask if pose.mask.any() else None, pose)


def _shape(detail: dict[str, Any]) -> tuple[int, ...]:
    return tuple(map(int, detail["shape"]))


def _sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(torch.from_numpy(logits).sigmoid())
