"""The networks that annotate frames, with their files and thresholds."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from PIL import Image

from torchreid_occ._types import StrPath
from torchreid_occ.annotate.blazepose import BlazePose, PoseFinder
from torchreid_occ.annotate.blazepose_weights import blazepose_file
from torchreid_occ.annotate.detectors import load_detector
from torchreid_occ.annotate.finder import FrameAnnotation, PersonFinder
from torchreid_occ.utils.checks import check_share
from torchreid_occ.utils.files import file_hash


class LoadedFinder(NamedTuple):
    """Networks that are ready to annotate frames.

    Attributes:
        find: Annotates a list of frames.
        plan: Plain values that identify the networks and their thresholds.
    """

    find: Callable[[Sequence[Image.Image]], Sequence[FrameAnnotation]]
    plan: dict[str, Any]


class FinderOptions(NamedTuple):
    """Torchvision's R-CNNs and thresholds that find the tracked person in a frame.

    Attributes:
        keypoint_weights: Weights of a `keypointrcnn_resnet50_fpn`; None for torchvision's own.
        segmentation_weights: Weights of a `maskrcnn_resnet50_fpn`; None for torchvision's own.
        height: Frames are enlarged to as many pixels; None for the height of the weights, or 512.
        min_score: Detections of a lower score are ignored.
        min_keypoint_score: A key point whose heat map peaks lower counts as not visible.
    """

    keypoint_weights: StrPath | None = None
    segmentation_weights: StrPath | None = None
    height: int | None = None
    min_score: float = 0.5
    min_keypoint_score: float = 2.0

    def load(self) -> LoadedFinder:
        """Loads both networks.

        Raises:
            WeightsUnavailable: If torchvision's weights are neither cached nor downloadable.
            FileNotFoundError: If a file of weights does not exist.
            ValueError: If a file holds something else.
        """
        files = {"keypoints": self.keypoint_weights, "masks": self.segmentation_weights}
        detectors = {
            kind: load_detector(kind, file, self.height, self.min_score)
            for kind, file in files.items()
        }
        networks = detectors["keypoints"].network, detectors["masks"].network
        plan = {
            "weights": {kind: detector.sha256 for kind, detector in detectors.items()},
            "height": self.height,
            "min_score": self.min_score,
            "min_keypoint_score": self.min_keypoint_score,
        }
        return LoadedFinder(PersonFinder(*networks, self.min_keypoint_score), plan)


class BlazePoseOptions(NamedTuple):
    """BlazePose's file and thresholds.

    Attributes:
        model: MediaPipe's `pose_landmark_full.tflite`, or the wheel that holds it; None for the
            cached file, downloaded on first use.
        min_presence: A frame of a lower presence shows no person.
        min_visibility: A key point of a lower visibility counts as not visible.
    """

    model: StrPath | None = None
    min_presence: float = 0.3
    min_visibility: float = 0.3

    def load(self) -> LoadedFinder:
        """Loads the network.

        Raises:
            WeightsUnavailable: If the file is neither cached nor downloadable.
            FileNotFoundError: If there is no such file.
            ImportError: If `ai-edge-litert` is not installed.
            ValueError: If the file holds something else, or a threshold is outside 0 to 1.
        """
        check_share("min_presence", self.min_presence)
        check_share("min_visibility", self.min_visibility)
        file = blazepose_file(self.model)
        plan = {
            "weights": {"blazepose": file_hash(file)},
            "min_presence": self.min_presence,
            "min_visibility": self.min_visibility,
        }
        find = PoseFinder(BlazePose(file), self.min_presence, self.min_visibility)
        return LoadedFinder(find, plan)
