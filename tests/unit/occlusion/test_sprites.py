import hashlib

import numpy as np
import pytest
from PIL import Image

from torchreid_occ.occlusion.sprites import resized


@pytest.mark.parametrize(
    ("size", "new", "digest"),
    [
        ((59, 119), (58, 116), "2dc603b7"),  # rows first: 3 fewer, and 1 column
        ((59, 119), (70, 116), "5f6f5af6"),
        ((59, 119), (57, 115), "b645c72d"),  # columns first
        ((59, 119), (70, 150), "fe02e676"),
    ],
)
def test_every_version_of_pillow_resizes_alike(size, new, digest):
    """The digests are of Pillow 13; Pillow 12 alone resizes columns first in all of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    found = resized(Image.fromarray(pixels), new, Image.Resampling.BICUBIC)
    assert hashlib.sha256(np.asarray(found).tobytes()).hexdigest()[:8] == digest
