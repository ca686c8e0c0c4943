"""Finds the tracked person in frames: its lines and its foreground."""

from typing import NamedTuple

import numpy as np
import torch
from torchvision.transforms.functional import pil_to_tensor

from torchreid_occ.annotate.lines import four_lines
from torchreid_occ.annotate.person import choose_person


class FrameAnnotation(NamedTuple):
    """What is found in a frame.

    Attributes:
        score: How certain the key point detector is of its person; None if it finds none.
        lines: See `four_lines`. Shape `(4,)`.
        foreground: What is seen of the person, 0 or 255, or None. Shape `(H, W)`.
    """

    score: float | None
    lines: np.ndarray
    foreground: np.ndarray | None


class PersonFinder:
    """Runs both detectors over frames and keeps what they say of one person.

    Args:
        keypoints: Torchvision's `KeypointRCNN`, in eval mode.
        masks: Torchvision's `MaskRCNN`, in eval mode.
        min_keypoint_score: A key point whose heat map peaks lower is not visible.
    """

    def __init__(self, keypoints, masks, min_keypoint_score=2.0):
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._keypoints = keypoints.to(self._device)
        self._masks = masks.to(self._device)
        self._min_keypoint_score = min_keypoint_score

    @torch.no_grad()
    def __call__(self, frames):
        """Finds the person in each of some frames, which are PIL images of any sizes."""
        images = [(pil_to_tensor(frame) / 255).to(self._device) for frame in frames]
        pairs = zip(images, self._keypoints(images), self._masks(images), strict=True)
        return [self._combine(image.shape[1:], *found) for image, *found in pairs]

    def _combine(self, size, with_keypoints, with_masks):
        """Joins what both detectors say; a mask of somebody else is none."""
        score, lines, box = None, np.full(4, np.nan, np.float32), None
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
