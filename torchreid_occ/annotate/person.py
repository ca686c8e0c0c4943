"""Which of the people in a crop is the one that was tracked."""

import torch
from torchvision.ops import box_iou

PERSON = 1  # the class, in COCO's numbering
SAME_PERSON = 0.5  # intersection over union of boxes from which on they are of one person


def choose_person(found, size, like=None):
    """Chooses among the detections of a frame.

    A tracker's box is drawn around its person, so the score of a detection is weighted by how much
    of the frame its box covers and by how near its middle is to the frame's, sideways.

    Args:
        found: What a detector of torchvision found: `boxes`, `labels`, `scores`.
        size: Height and width of the frame.
        like: Box of the person, if it is known from elsewhere.

    Shape:
        like: `(4,)`.

    Returns:
        The index of the detection, or None if there is no person, or not this one.
    """
    boxes = found["boxes"]
    height, width = size
    left, top, right, bottom = boxes.unbind(1)
    area = (right - left) * (bottom - top) / (height * width)
    centrality = 1 - ((left + right) / width - 1).abs()
    weight = found["scores"] * area * centrality
    fits = found["labels"] == PERSON
    if like is not None:
        weight = box_iou(like[None], boxes)[0]
        fits &= weight >= SAME_PERSON
    if not fits.any():
        return None
    return int(torch.where(fits, weight, -1).argmax())
