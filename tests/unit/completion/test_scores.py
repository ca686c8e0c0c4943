import numpy as np
import pytest
import torch
from PIL import Image
from support import REPOSITORY

from torchreid_occ.completion.builders import load_extractor
from torchreid_occ.completion.scores import (
    SUBSETS,
    choose_threshold,
    occluded_thirds,
    read_scores,
    score_by_thirds,
    write_scores,
)
from torchreid_occ.completion.truth import agreement, visible_shares
from torchreid_occ.config import load_config
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.models import build_model

RNG = np.random.default_rng(0)


@pytest.fixture
def tracklet(tmp_path):
    """Five frames of noise, the third with a bright lower third."""
    paths = []
    for frame in range(5):
        pixels = RNG.integers(60, 90, (48, 16, 3), dtype=np.uint8)
        if frame == 2:
            pixels[32:] = 255
        path = tmp_path / f"{frame}.png"
        Image.fromarray(pixels).save(path)
        paths.append(str(path))
    return (tuple(paths), 0, 0, 0)


@pytest.mark.parametrize("clip_len", [2, 64])
def test_an_occluded_third_scores_lowest(tracklet, clip_len):
    torch.manual_seed(0)
    model = build_model("baseline", 2, backbone="resnet18_x0_5").eval()
    (scores,) = score_by_thirds(model, [tracklet], ClipTransform(48, 16), clip_len, workers=0)
    assert scores.shape == (5, 3)
    assert np.unravel_index(scores.argmin(), scores.shape) == (2, 2)
    assert not model.backbone.stages[-1]._forward_hooks


def test_scores_are_read_back(tmp_path):
    tracklets = {
        subset: [((f"x/{subset}a.png", "x/b.png"), 3, 1, 0), (("x/c.png",), 4, 0, 0)]
        for subset in SUBSETS
    }
    scores = {s: [RNG.random((2, 3)), RNG.random((1, 3))] for s in SUBSETS}
    path = tmp_path / "scores.csv"
    write_scores(path, tracklets, scores)
    lines = path.read_text().splitlines()
    assert lines[0] == "subset,tracklet,frame,name,upper,middle,lower"
    assert lines[2].startswith(f"train,0,1,b.png,{scores['train'][0][1, 0]:.4f},")
    found = read_scores(path, tracklets)
    for subset in SUBSETS:
        for one, other in zip(found[subset], scores[subset], strict=True):
            np.testing.assert_allclose(one, other, atol=5e-5)


@pytest.mark.parametrize("change", ["longer", "renamed"])
def test_scores_of_other_frames_are_refused(tmp_path, change):
    tracklets = {subset: [(("x/a.png", "x/b.png"), 0, 0, 0)] for subset in SUBSETS}
    scores = {subset: [np.ones((2, 3))] for subset in SUBSETS}
    write_scores(tmp_path / "scores.csv", tracklets, scores)
    paths = ("x/a.png", "x/b.png", "x/c.png") if change == "longer" else ("x/a.png", "x/z.png")
    now = {**tracklets, "query": [(paths, 0, 0, 0)]}
    line = 6 if change == "longer" else 5
    with pytest.raises(ValueError, match=f"line {line} is the first that differs"):
        read_scores(tmp_path / "scores.csv", now)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"has the columns \['a', 'b'\]"):
        read_scores(tmp_path / "other.csv", tracklets)
    with pytest.raises(FileNotFoundError, match="no file of scores"):
        read_scores(tmp_path / "none.csv", tracklets)


def test_thresholds():
    scores = [np.linspace(0.5, 1, 33).reshape(11, 3)]
    assert choose_threshold(scores) == 0.89
    threshold = choose_threshold(scores, quantile=0.25)
    assert np.mean(scores[0] < threshold) == pytest.approx(0.25, abs=0.02)
    with pytest.raises(ValueError, match=r"Received tau 1\.5"):
        choose_threshold(scores, tau=1.5)
    with pytest.raises(ValueError, match=r"Received quantile 1\.0"):
        choose_threshold(scores, quantile=1.0)


def test_thresholds_that_flag_all_or_none_warn(caplog):
    from torchreid_occ.utils.logs import logger

    logger.propagate = True
    scores = {"train": [np.full((4, 3), 0.95)]}
    assert not occluded_thirds(scores, 0.9)["train"][0].any()
    assert "No third of train counts as occluded" in caplog.text
    assert occluded_thirds(scores, 0.99)["train"][0].all()
    assert "Every third of train counts as occluded" in caplog.text
    caplog.clear()
    half = {"train": [np.array([[0.9, 0.9, 0.5], [0.9, 0.4, 0.5]])]}
    with caplog.at_level("INFO"):
        flags = occluded_thirds(half, 0.89)["train"][0]
    assert flags.tolist() == [[False, False, True], [False, True, True]]
    assert "upper 0.0%  middle 50.0%  lower 100.0%" in caplog.text
    assert "Choose another tau" not in caplog.text


class Masks:
    """Foreground maps by path: rows of the person, from the top."""

    def __init__(self, rows):
        self.rows = rows

    def foreground(self, path):
        mask = np.zeros((12, 6), np.uint8)
        mask[self.rows[path]] = 255
        return Image.fromarray(mask)


def test_visible_shares_of_thirds():
    whole = Masks({"a": slice(0, 8), "b": slice(0, 12)})
    visible = Masks({"a": slice(0, 6), "b": slice(5, 12)})
    (shares,) = visible_shares([(("a", "b"), 0, 0, 0)], visible, whole, workers=0)
    # The person of "a" does not reach the lower third, which counts as visible.
    np.testing.assert_allclose(shares, [[1, 0.5, 1], [0, 0.75, 1]])


def test_scores_and_flags_agree_with_the_truth():
    shares = [np.array([[1.0, 0.4, 0.2], [0.9, 0.6, 0.0]])]  # the 0.6 is hidden by less than half
    flagged = [np.array([[True, True, True], [False, False, False]])]
    scores = [np.array([[0.9, 0.1, 0.2], [0.8, 0.2, 0.3]])]
    pairs = [0.1, 0.2, 0.3], [0.9, 0.8, 0.2]  # of hidden thirds, and of the others
    wins = [(low < high) + (low == high) / 2 for low in pairs[0] for high in pairs[1]]
    expected = (0.667, 0.667, round(np.mean(wins), 3))
    assert agreement(flagged, scores, shares) == expected
    nothing = [flagged[0] & False]
    assert agreement(nothing, scores, shares) == (None, 0.0, expected[2])
    assert agreement(flagged, scores, [shares[0] * 0 + 1]) == (0.0, None, None)


def test_the_network_of_imagenet_scores_by_its_own_weights():
    path = REPOSITORY / "configs" / "real" / "vrstc.yaml"
    config = load_config(path, ["completion.extractor", "imagenet"])
    model, transform = load_extractor(config)
    published = build_model("baseline", 1, pretrained=True, backbone="efficientnet_lite0")
    for one, other in zip(
        model.backbone.parameters(), published.backbone.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    assert not model.training
    assert (transform.height, transform.width) == (96, 48)
