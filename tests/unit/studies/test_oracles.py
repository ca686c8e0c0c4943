"""Oracles replace what they name, and nothing else."""

import numpy as np
import pytest
import torch
from small_backbone import SMALL_BACKBONE
from support import pairs, same, write_two_cameras

from torchreid_occ.config import load_config
from torchreid_occ.models import build_model
from torchreid_occ.studies.diagnosis import block_tables, measure_blocks
from torchreid_occ.studies.oracles import (
    OF_OCCLUSION,
    ORACLES,
    Bound,
    as_it_is,
    clean_frames,
    occluded_frames_dropped,
    occluded_units,
    oracle_features,
    perfect_completion,
    visible_units_pooled,
)
from torchreid_occ.studies.true_clips import TrueClip, true_clips
from torchreid_occ.studies.truth import TRUTHS, Truth, predicted_by

SETTINGS = {
    "data.sources": "['occwalk_tiny']",
    "data.height": "128",
    "data.width": "64",
    "video.test_clip_len": "64",
}


@pytest.fixture(scope="module")
def clips(occwalk_root):
    root = str(occwalk_root)
    (query,) = true_clips(load_config(None, pairs(SETTINGS)), root, 0, ["query"])
    return query


@pytest.fixture
def model():
    torch.manual_seed(0)
    built = build_model("rfcnet", 4, False, 128, 64, backbone=SMALL_BACKBONE).eval()
    for block in built.blocks.values():  # a gamma of 0 makes a block the identity
        for branch in (block.spatial, block.temporal):
            torch.nn.init.ones_(branch.extend[1].weight)
    return built


def clip_with(hidden_rows):
    """A clip of three frames, in the second of which some rows hide all there is of a person."""
    torch.manual_seed(1)
    clean = torch.rand(3, 3, 128, 64)
    whole = torch.zeros(3, 1, 128, 64)
    whole[..., 16:48] = 1
    visible, frames = whole.clone(), clean.clone()
    visible[1, :, hidden_rows] = 0
    frames[1, :, hidden_rows] = 2.0
    lines = torch.tensor([0.25, 0.5, 0.75, 0.5]).expand(3, 4)
    fractions = 1 - visible.mean((1, 2, 3)) / whole.mean((1, 2, 3))
    return TrueClip(frames, clean, visible, whole, lines, fractions)


def test_clips_hold_frames_and_ground_truth(clips):
    index, clip = clips[3]
    assert index == 3
    assert clip.frames.shape == clip.clean.shape == (len(clip.fractions), 3, 128, 64)
    assert clip.visible.shape == clip.whole.shape == (len(clip.fractions), 1, 128, 64)
    shares = 1 - clip.visible.sum((1, 2, 3)) / clip.whole.sum((1, 2, 3))
    torch.testing.assert_close(shares, clip.fractions.to(shares.dtype), atol=1e-5, rtol=0)
    hidden = (clip.whole > 0) & (clip.visible == 0)
    differ = (clip.frames != clip.clean).any(1, keepdim=True)
    assert hidden.any()
    assert (differ & hidden).sum() > 0.9 * hidden.sum()
    keypoints = [clips.known.visible.keypoints(path) for path in clips.tracklets[3][0]]
    np.testing.assert_allclose(clip.keypoints, keypoints, atol=1e-6)


def test_occluded_units_are_the_regions_of_which_more_than_half_is_hidden():
    units = occluded_units(clip_with(slice(0, 60)), (8, 4))
    # Rows 0 to 3 are head and upper body; the legs, from row 4 on, are all there.
    assert units[1, 0, :4].all()
    assert not units[1, 0, 4:].any()
    assert not units[[0, 2]].any()


@torch.no_grad()
def test_each_oracle_replaces_what_it_names(model):
    clip = clip_with(slice(0, 64))
    torch.testing.assert_close(as_it_is(model, clip), model(clip.frames[None]))
    torch.testing.assert_close(clean_frames(model, clip), model(clip.clean[None]))
    torch.testing.assert_close(
        occluded_frames_dropped(model, clip), model(clip.clean[[0, 2]][None])
    )
    for oracle in (visible_units_pooled, perfect_completion):
        assert not torch.allclose(oracle(model, clip), model(clip.frames[None]), atol=1e-4)
    everything = clip._replace(visible=torch.zeros_like(clip.visible))
    torch.testing.assert_close(perfect_completion(model, everything), model(clip.clean[None]))
    nothing = clip._replace(visible=clip.whole)
    torch.testing.assert_close(perfect_completion(model, nothing), model(clip.frames[None]))
    all_seen = clip._replace(visible=torch.ones_like(clip.visible))
    torch.testing.assert_close(visible_units_pooled(model, all_seen), model(clip.frames[None]))
    assert not model.backbone.stages[-1]._forward_hooks


@torch.no_grad()
def test_oracles_of_occlusion_leave_a_clip_without_occluders_as_it_is(model):
    clip = clip_with(slice(0, 0))
    assert not clip.fractions.any()
    assert ORACLES.keys() - {"as it is", "visible units pooled"} == OF_OCCLUSION
    for name in OF_OCCLUSION:
        assert torch.equal(ORACLES[name](model, clip), as_it_is(model, clip))


@torch.no_grad()
def test_truth_replaces_what_blocks_predict(model):
    clip = clip_with(slice(0, 64))
    as_predicted = model(clip.frames[None])
    truth = Truth(model, TRUTHS)
    truth.set_frames(clip.keypoints, clip.visible)
    outputs = model.forward_clip(clip.frames[None])
    for block, size in zip(outputs.blocks, ((16, 8), (8, 4)), strict=True):
        expected = torch.nn.functional.interpolate(clip.visible, size, mode="area")
        torch.testing.assert_close(
            block.foreground_logits.sigmoid(), expected.clamp(1e-3, 1 - 1e-3)
        )
        rows = size[0] // 4  # the true lines cut at the quarters
        assert block.regions.masks[0, 0, :rows].all()
        assert not block.regions.masks[0, 0, rows:].any()
        assert block.regions.masks[0, 1, rows : 2 * rows].all()
    assert not torch.allclose(model(clip.frames[None]), as_predicted)


@torch.no_grad()
def test_what_is_not_known_of_a_frame_stays_predicted(model):
    clip = clip_with(slice(0, 64))
    as_predicted = model(clip.frames[None])
    with Truth(model, TRUTHS) as truth:
        truth.set_frames(clip.keypoints * torch.nan, clip.visible * torch.nan)
        assert torch.equal(model(clip.frames[None]), as_predicted)
        truth.set_frames(clip.keypoints, clip.visible)
        known = model(clip.frames[None])
        gaps = torch.tensor([0.0, torch.nan, 0.0])  # nothing is known of the second frame
        truth.set_frames(clip.keypoints + gaps[:, None], clip.visible + gaps[:, None, None, None])
        partly = model(clip.frames[None])
    assert partly.isfinite().all()
    assert not torch.allclose(partly, known)
    assert not torch.allclose(partly, as_predicted)


@torch.no_grad()
def test_the_model_predicts_again_after_the_truth(model):
    clip = clip_with(slice(0, 64))
    as_predicted, weights = model(clip.frames[None]), dict(model.state_dict())
    with Truth(model, TRUTHS) as truth:
        truth.set_frames(clip.keypoints, clip.visible)
        assert not torch.allclose(model(clip.frames[None]), as_predicted)
        assert list(model.state_dict()) == list(weights)
        assert same(dict(model.state_dict()), weights)
    assert torch.equal(model(clip.frames[None]), as_predicted)


def test_a_dataset_without_ground_truth_is_refused(tmp_path):
    config = load_config(None, ["data.sources", "['sduvid']"])
    root = str(write_two_cameras(tmp_path, persons=4))
    with pytest.raises(ValueError, match="No dataset of sduvid has its tracklets without"):
        true_clips(config, root, 0)


def test_a_model_without_the_part_is_refused():
    options = {"backbone": SMALL_BACKBONE, "partition": "fixed"}
    fixed = build_model("rfcnet", 4, False, 128, 64, **options)
    assert predicted_by(fixed) == ["foreground"]
    with pytest.raises(ValueError, match="predicts no lines to be replaced"):
        Truth(fixed, TRUTHS)
    masked = build_model(
        "rfcnet", 4, False, 128, 64, backbone=SMALL_BACKBONE, arrangement="foreground"
    )
    assert predicted_by(masked) == ["foreground"]
    with pytest.raises(ValueError, match="no foreground and no lines"):
        Truth(build_model("baseline", 4, backbone=SMALL_BACKBONE), TRUTHS)


def test_features_are_means_over_a_tracklets_clips(clips, model):
    features = oracle_features(model, Truth(model), clips, ["as it is", "clean frames"], workers=0)
    assert features.keys() == {"as it is", "clean frames"} <= ORACLES.keys()
    with torch.no_grad():
        expected = model(clips[5][1].frames[None])[0]
    torch.testing.assert_close(features["as it is"].features[5], expected)
    assert features["as it is"].pids.tolist() == [item[1] for item in clips.tracklets]


def test_measures_are_a_table_for_each_block():
    tables = block_tables({"3": {"residual": 0.5}}, {"3": {"residual": 0.25, "gate": 1.0}})
    assert tables.splitlines() == [
        "| block behind stage 3 | training | queries |",
        "|---|---|---|",
        "| residual | 0.500 | 0.250 |",
        "| gate | nan | 1.000 |",
    ]


def test_a_bound_is_a_row_in_percent():
    assert Bound("true lines", 0.1234).row() == "| true lines | 12.3 |"


def test_predictions_and_effects_of_blocks_are_measured(model):
    clip = clip_with(slice(0, 64))
    truth = Truth(model, TRUTHS)
    truth.set_frames(clip.keypoints, clip.visible)
    measured = measure_blocks(model, [clip])
    assert measured.keys() == {"2", "3"}
    for quantities in measured.values():
        assert quantities["residual"] > 0.01
        assert quantities["foreground where visible"] > 0.99
        assert quantities["foreground where hidden"] < 0.01
        assert quantities["foreground, area under curve"] == 1
        assert 0 <= quantities["gate where hidden"] <= 1
        # Both other frames show what the second one hides.
        assert quantities["attention on shown"] == pytest.approx(1)
        assert quantities["attention on shown if even"] == pytest.approx(1)
