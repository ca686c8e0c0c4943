import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from small_backbone import SMALL_BACKBONE
from support import write_two_cameras

from torchreid_occ.completion.copy import CopyPlan, complete_frames
from torchreid_occ.completion.network import Completion
from torchreid_occ.config import load_config
from torchreid_occ.data.copies import source_tracklets
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.models import build_model
from torchreid_occ.report.pictures import completions, draw_model, third_scores
from torchreid_occ.runs.folder import Run


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.uri.split(",")[1]))))


def to_white(frame, mask, _previous, _following):
    return Completion(mask + (1 - mask) * frame, None)


def test_completed_frames_are_shown_beside_the_recorded_ones(tmp_path):
    root, source = tmp_path / "data", {"name": "sduvid", "split_id": 0, "options": {}}
    write_two_cameras(root, persons=4, frames=4)
    tracklets = source_tracklets(source, root)
    occluded = {s: [np.zeros((len(item[0]), 3), bool) for item in tracklets[s]] for s in SUBSETS}
    occluded["query"][0][1] = True
    occluded["query"][1][1:3] = True
    plan = CopyPlan(tmp_path / "copy", source, root, occluded, {"by": "test"})
    complete_frames(plan, to_white, (16, 8), workers=0)
    run = Run("complete", tmp_path, {}, load_config(None, ["data.root", str(root)]))
    most, less = completions(run)
    assert (most.number, less.number) == (1, 0)
    assert list(most.strips) == ["as recorded", "completed"]
    recorded, completed = (pixels(strip) for strip in most.strips.values())
    assert recorded.shape == completed.shape == (128, 2 * 64 + 2, 3)
    assert completed.min() > 250 and recorded.mean() < 230
    assert [shown.number for shown in completions(run, count=1)] == [1]


def test_scores_of_thirds_are_the_picture_that_scoring_left(tmp_path):
    Image.new("RGB", (30, 20), "red").save(tmp_path / "scores.png")
    shown = third_scores(Run("score", tmp_path, {}, None))
    assert "by score" in shown.caption
    assert shown.picture.uri.startswith("data:image/webp;base64,")
    np.testing.assert_allclose(pixels(shown.picture).mean((0, 1)), [255, 0, 0], atol=6)


@pytest.mark.parametrize(
    ("name", "options", "caption"),
    [
        ("rru_stim", {"auxiliary": "none"}, "Refinement: "),
        ("trl_st2n", {"hidden": 8}, "Alignment: "),
    ],
)
def test_a_models_pictures_have_captions(name, options, caption, tmp_path):
    torch.manual_seed(0)
    size = {"height": 64, "width": 32}
    model = build_model(name, 3, backbone=SMALL_BACKBONE, **size, **options).eval()
    config = load_config(None, ["model.name", name, "data.height", "64", "data.width", "32"])
    Image.new("RGB", (32, 64)).save(tmp_path / "frame.png")
    (shown,) = draw_model(model, config, [tmp_path / "frame.png"] * 3)
    assert shown.caption.startswith(caption)
    assert shown.picture.width > shown.picture.height / 4


def test_a_model_without_pictures_shows_none():
    assert draw_model(None, load_config(None, ["model.name", "baseline"]), ["frame.png"]) == []
