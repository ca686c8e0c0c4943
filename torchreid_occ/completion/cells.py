"""Similarity scoring cell by cell, against the average person and against the tracklet.

The paper compares the mean feature of a third with its mean over the tracklet. An obstacle in many
frames is part of that mean, and a network for unknown people says little about one third. Here each
cell of an early map is compared with the average training frame at its place, which shows a person,
and with the tracklet's own cells there, those that resemble the average person counting most.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from torchreid_occ.completion.similarity import third_features

# Weight of a frame's cell in the reference of its place: exp(SHARPNESS * similarity to the average
# person).
SHARPNESS = 8.0


class AveragePerson(NamedTuple):
    """What the frames of a dataset have in common.

    Attributes:
        cells: Mean of each cell. Shape `(C, H, W)`.
        mean: Mean over all cells, which is taken away before cells are compared. Shape `(C, 1, 1)`.
    """

    cells: Tensor
    mean: Tensor


def middle_columns(maps: Tensor) -> Tensor:
    """Returns the middle half of the columns, where the person is, in half precision.

    Shape:
        maps: `(T, C, H, W)`; result: `(T, C, H, W - 2 * (W // 4))`.
    """
    width = maps.shape[3]
    return maps[..., width // 4 : width - width // 4].half()


def average_person(tracklets: Iterable[Tensor]) -> AveragePerson:
    """Averages the maps of many people; occluders are different from place to place and fade.

    Args:
        tracklets: Maps of each tracklet's frames, `(T, C, H, W)`.

    Raises:
        ValueError: If there are no tracklets.
    """
    total: Tensor | None = None
    frames = 0
    for maps in tracklets:
        own = maps.float().sum(0)
        total = own if total is None else total + own
        frames += len(maps)
    if total is None:
        raise ValueError("There are no tracklets to average people over.")
    cells = total / frames
    return AveragePerson(cells, cells.mean((1, 2), keepdim=True))


def cell_scores(maps: Tensor, person: AveragePerson) -> Tensor:
    """Scores the thirds of a tracklet's frames: the mean over their cells of two cosines.

    Args:
        maps: Maps of the frames of one tracklet.
        person: The average person in maps of the same network and size.

    Shape:
        maps: `(T, C, H, W)`; result: `(T, 3)`.
    """
    # Differs from paper [V20]: Eq. 11 and 12 compare whole thirds with the tracklet's plain mean.
    maps = maps.float()
    typical = F.cosine_similarity(maps - person.mean, person.cells - person.mean, dim=1)
    own = maps - maps.mean((0, 2, 3), keepdim=True)
    weights = torch.softmax(SHARPNESS * typical, dim=0)[:, None]
    reference = (weights * own).sum(0, keepdim=True)
    alike = F.cosine_similarity(own, reference, dim=1)
    return third_features(((typical + alike) / 2)[:, None])[..., 0]
