import base64
import io

import numpy as np
import pytest
from PIL import Image

from torchreid_occ.data.frame_strip import frame_strip, spread_frames


@pytest.fixture
def paths(tmp_path):
    for number in range(5):
        Image.new("RGB", (20, 30), (50 * number,) * 3).save(tmp_path / f"{number}.png")
    return [tmp_path / f"{number}.png" for number in range(5)]


def pixels(strip):
    head, content = strip.uri.split(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_frames_stand_side_by_side_in_order(paths):
    strip = frame_strip(paths, 3, size=(16, 8))
    shown = pixels(strip)
    assert shown.shape == (16, 28, 3) and (strip.width, strip.height) == (28, 16)
    grey = [shown[:, start + 2 : start + 6].mean() for start in (0, 10, 20)]  # edges blur
    np.testing.assert_allclose(grey, [0, 100, 200], atol=3)
    assert shown[:, 8:10].min() > 100  # a gap


def test_frames_are_spread_over_the_tracklet():
    assert spread_frames("abcdefg", 3) == ["a", "d", "g"]
    assert spread_frames("abcdefg", 1) == ["a"]
    assert spread_frames("ab", 4) == ["a", "b"]


def test_nothing_to_show_is_refused(paths):
    with pytest.raises(ValueError, match="0 frames to show 4 of, but both must be at least 1"):
        frame_strip([], 4)
    with pytest.raises(ValueError, match="5 frames to show 0 of"):
        frame_strip(paths, 0)
