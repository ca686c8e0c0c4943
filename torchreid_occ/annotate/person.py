"""Chooses the tracked person among the people in a crop."""

import torch
from torch import Tensor
from torchvision.ops import box_iou

from torchreid_occ.utils.coco import PERSON_LABEL

SAME_PERSON = 0.5  # smallest intersection over union of two boxes of one person


def choose_person(
    found: dict[str, Tensor], size: tuple[int, int], like: Tensor | None = None
) -> int | None:
    """Chooses among the detections of a frame.

    A tracker's box is drawn around its person, so the score of a detection is weighted by the share
    of the frame that its box covers and by how close its centre is to the frame's middle column.

    Args:
        found: Result of a detector of torchvision: `boxes`, `labels`, `scores`.
        size: Height and width of the frame.
        like: Box of the person, if it is known from elsewhere.

    Shape:
        like: `(4,)`.

    Returns:
        The index of the detection, or None if there is no person, or not the known one.
    """
    boxes = found["boxes"]
    height, width = size
    left, top, right, bottom = boxes.unbind(1)
    area = (right - left) * (bottom - top) / (height * width)
    centrality = 1 - ((left + right) / width - 1).abs()
    weight = found["scores"] * area * centrality
    fits = found["labels"] == PERSON_LABEL
    if like is not None:
        weight = box_iou(like[None], boxes)[0]
        fits &= weight >= SAME_PERSON
    if not fits.any():
        return None
    return int(torch.where(fits, weight, -1).argmax())
