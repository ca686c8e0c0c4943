"""The regions of a frame that VRSTC scores and completes: equal thirds of its height."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

THIRDS = ("upper", "middle", "lower")

# A value for each third of each frame of a tracklet, `(T, 3)`: scores or visible shares; and
# whether the third is occluded.
Values: TypeAlias = npt.NDArray[np.floating]
Flags: TypeAlias = npt.NDArray[np.bool_]

# The same for all tracklets of a dataset, by subset.
AllValues: TypeAlias = Mapping[str, Sequence[Values]]
AllFlags: TypeAlias = Mapping[str, Sequence[Flags]]


def third_rows(height: int) -> list[slice]:
    """Returns the pixel rows of each third, to the nearest row.

    Args:
        height: Height of the frame.
    """
    edges = [round(height * k / len(THIRDS)) for k in range(len(THIRDS) + 1)]
    return [slice(*pair) for pair in itertools.pairwise(edges)]


def third_mask(flags: Flags, size: tuple[int, int]) -> Tensor:
    """Returns a mask that is 1 in the chosen thirds.

    A row that belongs to a third in part is masked as a whole, so that a frame of another size
    shows no row of the third either.

    Args:
        flags: Whether each third is chosen.
        size: Height and width of the frame.

    Shape:
        flags: `(3,)`; result: `(1, H, W)`.
    """
    mask = torch.zeros(1, *size)
    for number in np.flatnonzero(flags):
        first, last = (size[0] * edge / len(THIRDS) for edge in (number, number + 1))
        mask[:, math.floor(first) : math.ceil(last)] = 1
    return mask
