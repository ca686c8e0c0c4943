import numpy as np
import pytest
import torch

from torchreid_occ.annotate.lines import four_lines
from torchreid_occ.annotate.networks import Network
from torchreid_occ.annotate.small_detectors import OccWalkPeople, train_small_detector
from torchreid_occ.occwalk.presets import PRESETS
from torchreid_occ.occwalk.protocol import list_tracklets
from torchreid_occ.occwalk.render import render_tracklet

TINY = Network("resnet18", 8, (8,), 64)


@pytest.fixture(scope="module")
def people():
    return OccWalkPeople("occwalk_tiny", 0, 3)


def test_the_truth_of_frames_is_occwalks(people):
    specs = [spec for spec in list_tracklets(PRESETS["occwalk_tiny"], 0) if spec.split == "train"]
    assert len(people) == sum(spec.num_frames for spec in specs[:3])
    tracklet = render_tracklet(specs[0], PRESETS["occwalk_tiny"], 0)
    for index in range(len(tracklet.frames)):
        frame, truth = people[index]
        assert frame.shape == (3, 128, 64)
        pixels = (255 * frame).round().permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(pixels, tracklet.frames[index][..., ::-1])
        mask = tracklet.visible[index] > 0
        np.testing.assert_array_equal(truth["masks"][0].numpy(), mask)
        left, top, right, bottom = truth["boxes"][0].int().tolist()
        assert mask[top:bottom, left:right].sum() == mask.sum()
        assert mask[top].any() and mask[bottom - 1].any()
        assert mask[:, left].any() and mask[:, right - 1].any()
        points = truth["keypoints"][0]
        assert set(points[:, 2].tolist()) <= {0, 1}
        # All joints together give OccWalk's own lines.
        found = four_lines(points[:, :2].numpy(), np.ones(17, bool), (128, 64))
        np.testing.assert_allclose(found, tracklet.keypoints[index], atol=1e-4)


def test_joints_that_something_hides_are_not_visible(people):
    shown = torch.stack([truth["keypoints"][0, :, 2] for _, truth in people]).bool()
    masks = torch.stack([truth["masks"][0] for _, truth in people])
    points = torch.stack([truth["keypoints"][0, :, :2] for _, truth in people])
    points = points.floor().long()
    rows, columns = points[..., 1].clamp(0, 127), points[..., 0].clamp(0, 63)
    frames = torch.arange(len(masks))[:, None].expand_as(rows)
    inside = (points[..., 1] == rows) & (points[..., 0] == columns)
    assert torch.equal(shown, inside & masks[frames, rows, columns].bool())
    assert 0.5 < shown.float().mean() < 1


@pytest.mark.parametrize(("kind", "loss"), [("keypoints", "loss_keypoint"), ("masks", "loss_mask")])
def test_training_goes_down_and_repeats(people, kind, loss):
    runs = [
        train_small_detector(kind, people, steps, batch_size=2, network=TINY) for steps in (1, 1, 6)
    ]
    losses = [last[loss] for _, last in runs]
    assert losses[0] == losses[1] > losses[2]
    first, second = (content["state_dict"] for content, _ in runs[:2])
    assert all(torch.equal(first[name], value) for name, value in second.items())
    assert runs[0][0]["network"] == TINY._asdict()
