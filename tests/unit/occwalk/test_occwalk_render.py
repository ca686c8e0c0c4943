from dataclasses import fields

import numpy as np
import pytest

from torchreid_occ.occwalk.gait import Joint, walk
from torchreid_occ.occwalk.identity import make_identity
from torchreid_occ.occwalk.keys import keyed_rng
from torchreid_occ.occwalk.obstacles import POOLS
from torchreid_occ.occwalk.presets import PRESETS
from torchreid_occ.occwalk.protocol import list_tracklets
from torchreid_occ.occwalk.render import MAX_OCCLUSION, MIN_PEAK, render_tracklet

TINY = PRESETS["occwalk_tiny"]
SPECS = list_tracklets(TINY, 0)


@pytest.fixture(scope="module")
def tracklets():
    """A fifth of the preset, of all splits, cameras and degrees of occlusion."""
    return [(spec, render_tracklet(spec, TINY, 0)) for spec in SPECS[::5]]


def test_renders_the_same_whatever_was_rendered_before(tracklets):
    for spec, tracklet in tracklets[::-6]:
        again = render_tracklet(spec, TINY, 0)
        for name, value in tracklet._asdict().items():
            np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)


def test_another_seed_renders_something_else(tracklets):
    spec, tracklet = tracklets[0]
    assert np.mean(render_tracklet(spec, TINY, 1).frames != tracklet.frames) > 0.5


def test_keys_are_independent_of_order_and_spelled_out():
    assert keyed_rng(0, "a", 1).random() == keyed_rng(0, "a", 1).random()
    draws = {
        keyed_rng(*key).random() for key in ((0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2))
    }
    assert len(draws) == 4


def test_shapes_and_types(tracklets):
    for spec, tracklet in tracklets:
        size = spec.num_frames, TINY.height, TINY.width
        assert tracklet.frames.shape == tracklet.clean.shape == (*size, 3)
        assert tracklet.visible.shape == tracklet.whole.shape == size
        assert tracklet.frames.dtype == tracklet.visible.dtype == np.uint8
        assert tracklet.keypoints.shape == (spec.num_frames, 4)
        assert set(np.unique(tracklet.whole)) == {0, 255}
        assert set(np.unique(tracklet.visible)) == {0, 255}


def test_visible_is_the_whole_less_the_occluded_fraction(tracklets):
    for _, tracklet in tracklets:
        assert not np.any(tracklet.visible & ~tracklet.whole)
        areas = [np.count_nonzero(mask, axis=(1, 2)) for mask in (tracklet.visible, tracklet.whole)]
        np.testing.assert_allclose(tracklet.fractions, 1 - areas[0] / areas[1])
        share = areas[1] / (TINY.height * TINY.width)
        assert np.all((share > 0.1) & (share < 0.55))


def test_occlusion_is_as_much_as_promised(tracklets):
    for spec, tracklet in tracklets:
        if spec.num_occluded:
            assert MIN_PEAK <= tracklet.fractions.max() <= MAX_OCCLUSION
        else:
            assert not tracklet.fractions.any()
        assert abs(np.count_nonzero(tracklet.fractions) - spec.num_occluded) <= 1
        if spec.split == "query":
            assert np.mean(tracklet.fractions > 0) > 1 / 3


def test_frames_differ_from_clean_ones_just_where_something_stands(tracklets):
    occluded = 0
    for _, tracklet in tracklets:
        differs = np.any(tracklet.frames != tracklet.clean, axis=-1)
        hidden = (tracklet.whole > 0) & (tracklet.visible == 0)
        occluded += hidden.sum()
        if hidden.any():
            assert differs[hidden].mean() > 0.9
        seen = tracklet.visible > 0
        # Blur carries an occluder's colour a few pixels over its border, not further.
        assert differs[seen].mean() < 0.35
    assert occluded > 10_000


def test_split_lines_run_through_the_body_in_order(tracklets):
    for _, tracklet in tracklets:
        shoulders, hips, knees, column = tracklet.keypoints.T
        for frame, mask in enumerate(tracklet.whole):
            rows, columns = np.nonzero(mask)
            top, bottom = rows.min() / TINY.height, (rows.max() + 1) / TINY.height
            assert top < shoulders[frame] < hips[frame] < knees[frame] < bottom
            left, right = columns.min() / TINY.width, (columns.max() + 1) / TINY.width
            assert left < column[frame] < right


def test_split_lines_are_the_joints_as_fractions(tracklets):
    for _, tracklet in tracklets:
        knees = tracklet.joints[:, [Joint.LEFT_KNEE, Joint.RIGHT_KNEE]].mean(axis=1)
        np.testing.assert_allclose(tracklet.keypoints[:, 2], knees[:, 1] / TINY.height)
        np.testing.assert_allclose(tracklet.keypoints[:, 3], knees[:, 0] / TINY.width)


def test_people_walk_continuously(tracklets):
    ankles = [Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE]
    strides = []
    for spec, tracklet in tracklets:
        steps = np.linalg.norm(np.diff(tracklet.joints, axis=0), axis=-1) / TINY.height
        assert steps.max() < 0.25  # a hand or foot at the height of its swing
        assert steps[:, Joint.PELVIS].max() < 0.04
        assert steps[:, ankles].max(axis=1).min() > 0.003
        if spec.camid == 0:  # seen from the side
            left, right = np.moveaxis(tracklet.joints[:, ankles, 0], 1, 0) / TINY.height
            strides.append(left - right)
    # Legs move against each other: the left foot is now before, now behind the right one.
    assert all(stride.min() < -0.1 and stride.max() > 0.1 for stride in strides)


def test_walk_keeps_bones_and_the_ground():
    identity = make_identity(0, "train", 0)
    joints = walk(identity.body, identity.gait, np.linspace(0, 1, 40, endpoint=False))
    for upper, lower in (("HIP", "KNEE"), ("KNEE", "ANKLE"), ("SHOULDER", "ELBOW")):
        bones = joints[:, Joint[f"LEFT_{upper}"]] - joints[:, Joint[f"LEFT_{lower}"]]
        assert np.ptp(np.linalg.norm(bones, axis=-1)) < 1e-9
    # Half a cycle later left and right have changed places.
    np.testing.assert_allclose(joints[:20, Joint.LEFT_KNEE, 2], joints[20:, Joint.RIGHT_KNEE, 2])
    assert joints[..., 2].min() > 0
    assert np.ptp(joints[:, Joint.LEFT_KNEE, 0]) > 0.1


@pytest.mark.parametrize(
    ("index", "half"), [(1, "lower"), (5, "upper"), (9, "lower"), (297, "lower"), (493, "upper")]
)
def test_near_twins_differ_in_one_garment_only(index, half):
    one, other = make_identity(0, "test", index - 1), make_identity(0, "test", index)
    differing = [f.name for f in fields(one) if getattr(one, f.name) != getattr(other, f.name)]
    assert differing == [half]
    colours = getattr(one, half).colour, getattr(other, half).colour
    assert np.linalg.norm(np.subtract(*colours)) >= 90


def test_people_of_different_groups_and_indices_differ():
    groups = "train", "test", "distractor"
    people = [make_identity(7, group, index) for group in groups for index in range(500)]
    assert len(set(people)) == 1500


def test_training_and_test_obstacles_share_neither_shape_nor_colour():
    train, test = POOLS["train"], POOLS["test"]
    assert not {obstacle.draw for obstacle in train} & {obstacle.draw for obstacle in test}
    colours = [{c for obstacle in pool for c in obstacle.colours} for pool in (train, test)]
    assert not colours[0] & colours[1]
    assert {o.reach for o in train} == {o.reach for o in test} == {"upright", "low", "hanging"}


@pytest.mark.parametrize("pool", ["train", "test"])
def test_obstacles_fill_their_place(pool):
    for obstacle in POOLS[pool]:
        sprite = obstacle.draw(np.random.default_rng(0), 120, 80, obstacle.colours[0])
        assert sprite.picture.shape == (120, 80, 3)
        assert np.mean(sprite.mask > 0) > 0.4, obstacle.draw.__name__
