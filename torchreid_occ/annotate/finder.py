"""Finds the tracked person in frames: key point lines and foreground."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from torchreid_occ.annotate.lines import four_lines
from torchreid_occ.annotate.person import choose_person
from torchreid_occ.data.poses import Pose


class FrameAnnotation(NamedTuple):
    """Supervision that was found in a frame.

    Attributes:
        score: Score of the person in the network of key points; None if it finds no person.
        lines: See `four_lines`. Shape `(4,)`.
        foreground: Visible pixels of the person, 0 or 255, or None. Shape `(H, W)`.
        pose: All key points, from a network that finds more than COCO's; None from others.
    """

    score: float | None
    lines: npt.NDArray[np.float32]
    foreground: npt.NDArray[np.uint8] | None
    pose: Pose | None = None


class PersonFinder:
    """Runs both detectors over frames and keeps their results for the tracked person.

    Args:
        keypoints: Torchvision's `KeypointRCNN`, in eval mode.
        masks: Torchvision's `MaskRCNN`, in eval mode.
        min_keypoint_score: A key point whose heat map peaks lower counts as not visible.
    """

    def __init__(
        self, keypoints: nn.Module, masks: nn.Module, min_keypoint_score: float = 2.0
    ) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._keypoints = keypoints.to(self._device)
        self._masks = masks.to(self._device)
        self._min_keypoint_score = min_keypoint_score

    @torch.no_grad()
    def __call__(self, frames: Sequence[Image.Image]) -> list[FrameAnnotation]:
        """Finds the person in each frame.

        Args:
            frames: The frames, of any sizes.
        """
        images = [(pil_to_tensor(frame) / 255).to(self._device) for frame in frames]
        pairs = zip(images, self._keypoints(images), self._masks(images), strict=True)
        return [self._combine(image.shape[1:], *found) for image, *found in pairs]

    def _combine(
        self,
        size: tuple[int, int],
        with_keypoints: dict[str, Tensor],
        with_masks: dict[str, Tensor],
    ) -> FrameAnnotation:
        """Joins the results of both detectors; a mask of another person is dropped."""
        score, box = None, None
        lines: npt.NDArray[np.float32] = np.full(4, np.nan, np.float32)
        chosen = choose_person(with_keypoints, size)
        if chosen is not None:
            score, box = float(with_keypoints["scores"][chosen]), with_keypoints["boxes"][chosen]
            visible = with_keypoints["keypoints_scores"][chosen] >= self._min_keypoint_score
            points = with_keypoints["keypoints"][chosen, :, :2]
            lines = four_lines(points.cpu().numpy(), visible.cpu().numpy(), size)
        foreground = None
        chosen = choose_person(with_masks, size, like=box)
        if chosen is not None:
            seen = with_masks["masks"][chosen, 0] >= 0.5
            foreground = (255 * seen).to(torch.uint8).cpu().numpy() if seen.any() else None
        return FrameAnnotation(score, lines, foreground)
