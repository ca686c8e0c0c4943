"""Random generators named by what they draw, so that nothing depends on the order of drawing."""

import zlib

import numpy as np

from torchreid_occ.occwalk.presets import VERSION


def keyed_rng(*key: int | str) -> np.random.Generator:
    """A generator that depends on the renderer's version and the key alone.

    Args:
        *key: Non-negative integers and names, e.g. ``(seed, "identity", split, index)``.
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([VERSION, *words])))
