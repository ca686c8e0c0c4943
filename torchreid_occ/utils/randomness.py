"""Random states keyed by a run's position, so that a resumed run draws the same numbers."""

import random

import numpy as np
import torch


def derive_seed(*key: int) -> int:
    """Returns a 63-bit seed for integers such as (seed, epoch); similar keys give unrelated seeds.

    Args:
        *key: The integers, not negative.
    """
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1


def seed_everything(*key: int) -> None:
    """Seeds Python, NumPy and torch from integers such as (seed, epoch).

    Seeding at each epoch makes a resumed run draw the numbers of an uninterrupted one without
    random states in checkpoints.

    Args:
        *key: The integers, not negative.
    """
    seed = derive_seed(*key)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
