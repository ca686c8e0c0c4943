"""Random states that depend on where a run is, never on how it got there."""

import random

import numpy as np
import torch


def derive_seed(*key):
    """A 63-bit seed from integers, such as (seed, epoch); near keys give unrelated seeds."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1


def seed_everything(*key):
    """Seeds Python, NumPy and torch from integers, such as (seed, epoch).

    Seeding anew each epoch makes a resumed run draw what an uninterrupted one draws, without any
    random state in the checkpoint.
    """
    seed = derive_seed(*key)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
