import json

import numpy as np
import pytest
from PIL import Image

from torchreid_occ.data.supervision import Supervision
from torchreid_occ.occlusion.bodies import (
    STANDING,
    BodyMasks,
    CopiedSupervision,
    read_scores,
    upright_ellipse,
)


@pytest.fixture
def tracklets(tmp_path):
    """Two tracklets of four frames; masks and lines of frames 0 and 3 of the first are known."""
    found = []
    for pid in range(2):
        paths = tuple(str(tmp_path / f"p{pid}_{frame}.png") for frame in range(4))
        for path in paths:
            Image.new("RGB", (20, 40)).save(path)
        found.append(paths)
    for frame in (0, 3):
        folder = tmp_path / "masks/foreground" / f"p0_{frame}"
        folder.mkdir(parents=True)
        Image.new("L", (20, 40), 100 + frame).save(folder / "foreground.png")
    lines = {"p0_0.png": [0.1, 0.5, None, 0.3], "p0_3.png": [0.2, 0.6, 0.8, 0.4]}
    (tmp_path / "masks/keypoints.json").write_text(json.dumps(lines))
    return found


@pytest.fixture
def source(tracklets, tmp_path):
    return Supervision(tmp_path / "masks/keypoints.json", tmp_path / "masks/foreground")


def test_frames_without_a_mask_have_the_nearest_frames(tracklets, source):
    masks = BodyMasks(source, tracklets, {}, {})
    greys = [np.asarray(masks.foreground(path))[0, 0] for path in tracklets[0]]
    assert greys == [100, 100, 103, 103]
    assert masks.foreground(tracklets[1][0]) == upright_ellipse((20, 40))


def test_lines_that_are_not_known_are_the_nearest_frames(tracklets, source):
    masks = BodyMasks(source, tracklets, {}, {})
    np.testing.assert_allclose(masks.keypoints(tracklets[0][1]), [0.1, 0.5, 0.8, 0.3])
    np.testing.assert_allclose(masks.keypoints(tracklets[0][2]), [0.2, 0.6, 0.8, 0.4])
    np.testing.assert_array_equal(masks.keypoints(tracklets[1][2]), STANDING)


def test_supervision_of_a_copy_leaves_out_what_the_source_does_not_know(
    tracklets, source, tmp_path
):
    originals = {f"copy/{n}.png": path for n, path in enumerate(tracklets[0])}
    visible = {path: tmp_path / path for path in originals}
    found = CopiedSupervision(source, originals, visible)
    assert found.fields == ("keypoints", "foreground")
    assert found.foreground_path("copy/0.png") == tmp_path / "copy/0.png"
    assert found.foreground_path("copy/1.png") is None
    assert found.has("foreground", tracklets[0][3])
    assert not found.has("keypoints", "copy/1.png")
    assert found.name_of("copy/2.png") == "p0_2.png"


def test_an_ellipse_is_upright_and_in_the_middle():
    mask = np.asarray(upright_ellipse((20, 40))) > 127
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])
    rows, columns = np.nonzero(mask)
    assert (rows.min(), columns.min()) == (1, 4)


def test_scores_are_those_of_the_journal(tmp_path):
    assert read_scores("") == {}
    assert read_scores(tmp_path) == {}
    (tmp_path / "frames.jsonl").write_text(
        '{"frame": "a", "score": 0.5}\n{"frame": "b", "score": null}\n'
    )
    assert read_scores(tmp_path) == {"a": 0.5, "b": None}
    (tmp_path / "frames.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match="is no journal of frames"):
        read_scores(tmp_path)
    (tmp_path / "frames.jsonl").write_text("{}\nno\n")
    with pytest.raises(ValueError, match=r'frames\.jsonl", line 2'):
        read_scores(tmp_path)
