"""The three regions of a frame that VRSTC scores and completes: equal thirds of its height."""

import itertools
import math

import numpy as np
import torch

REGIONS = ("upper", "middle", "lower")


def region_rows(height: int) -> list[slice]:
    """The pixel rows of each region: thirds of the height, to the nearest row."""
    edges = [round(height * k / len(REGIONS)) for k in range(len(REGIONS) + 1)]
    return [slice(*pair) for pair in itertools.pairwise(edges)]


def region_mask(regions: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """A mask of regions: (3,) of bool to ``(1, H, W)``, 1 in those that are True.

    A row that a region has a part in is masked whole, so that no frame of any other size keeps a
    row of what is hidden.
    """
    mask = torch.zeros(1, *size)
    for number in np.flatnonzero(regions):
        first, last = (size[0] * edge / len(REGIONS) for edge in (number, number + 1))
        mask[:, math.floor(first) : math.ceil(last)] = 1
    return mask
