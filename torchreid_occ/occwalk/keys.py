"""Random number generators by key, so that draws do not depend on each other's order."""

import zlib

import numpy as np

from torchreid_occ.occwalk.presets import VERSION


def keyed_rng(*key: int | str) -> np.random.Generator:
    """Returns a generator that depends only on the renderer's version and the key.

    Args:
        *key: Non-negative integers and names, e.g. ``(seed, "identity", split, index)``.
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([VERSION, *words])))
