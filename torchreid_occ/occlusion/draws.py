"""Random draws of occluded copies, keyed so that none depends on the order of the others."""

import numpy as np

# Part of every key and of every manifest; to be raised if any pixel of a copy changes.
VERSION = 1


def keyed_rng(*key: int) -> np.random.Generator:
    """Returns a generator that depends only on the version of the copies and the key.

    Args:
        *key: Integers, not negative, such as (seed, number of the subset, number of the tracklet).
    """
    return np.random.default_rng([VERSION, *key])
