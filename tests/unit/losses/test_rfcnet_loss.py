import math

import pytest
import torch
from torch.nn import functional as F

from torchreid_occ.losses import build_criterion
from torchreid_occ.losses.rfcnet import (
    IGNORED,
    RfcnetLoss,
    cosine_similarity,
    foreground_loss,
    keypoint_labels,
    keypoint_loss,
    position_similarity,
    resize_foreground,
)
from torchreid_occ.models.layers.partition import Regions
from torchreid_occ.models.layers.rfc import RfcOutput
from torchreid_occ.models.layers.srfc import SrfcOutput
from torchreid_occ.models.rfcnet import RfcnetOutput

HEIGHT, WIDTH = 8, 4
CLASSES = [5, 6, 7, 3]
FRAMES = 6  # three clips of two frames


def random_block(seed, num_regions=6):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator).requires_grad_()

    logits = tuple(normal(FRAMES, classes) for classes in CLASSES)
    masks = torch.zeros(FRAMES, num_regions, HEIGHT, WIDTH)
    positions = torch.rand(FRAMES, num_regions, 4, generator=generator)
    spatial = SrfcOutput(
        initial=normal(FRAMES, num_regions, 5),
        completed=None,
        positions=positions,
        appearance=normal(FRAMES, num_regions, 3).softmax(2),
        position=normal(FRAMES, num_regions, 3).softmax(2),
        assignment=None,
    )
    return RfcOutput(
        Regions(masks, positions, logits), normal(FRAMES, 1, HEIGHT, WIDTH), spatial, None
    )


@pytest.fixture
def outputs():
    torch.manual_seed(0)
    blocks = (random_block(1), random_block(2))
    return RfcnetOutput(torch.randn(3, 2), torch.randn(3, 4), blocks)


@pytest.fixture
def batch():
    torch.manual_seed(3)
    return {
        "pid": torch.tensor([0, 0, 1]),
        "keypoints": torch.rand(3, 2, 4),
        "foreground": torch.rand(3, 2, 1, 2 * HEIGHT, 2 * WIDTH),
    }


def test_total_is_the_weighted_sum(outputs, batch):
    losses = build_criterion("rfcnet", 2)(outputs, batch)
    terms = ["ce", "triplet", "keypoints", "foreground", "appearance", "position"]
    assert sorted(losses) == sorted(["loss", "acc", *terms])
    weights = [1, 1, 0.1, 0.5, 0.05, 0.05]
    expected = sum(weight * losses[term] for weight, term in zip(weights, terms, strict=True))
    torch.testing.assert_close(losses["loss"], expected)


def test_terms_are_means_over_blocks(outputs, batch):
    criterion = build_criterion("rfcnet", 2)
    both = criterion(outputs, batch)
    single = [criterion(outputs._replace(blocks=(block,)), batch) for block in outputs.blocks]
    for term in ("keypoints", "foreground", "appearance", "position"):
        assert single[0][term] != single[1][term]
        torch.testing.assert_close(both[term], (single[0][term] + single[1][term]) / 2)


def test_keypoint_loss_is_equation_14(outputs, batch):
    logits = outputs.blocks[0].regions.keypoint_logits
    fractions = batch["keypoints"].flatten(0, 1)
    lasts, lengths = [4, 5, 6, 2], [HEIGHT, HEIGHT, HEIGHT, WIDTH]
    total = 0
    for t in range(FRAMES):
        for i in range(4):
            label = round(float(fractions[t, i]) * lengths[i]) - 1
            label = min(max(label, 0), lasts[i])
            total = total - logits[i][t].log_softmax(0)[label]
    loss = keypoint_loss(logits, fractions, (HEIGHT, WIDTH))
    torch.testing.assert_close(loss, total / (4 * FRAMES))


def test_keypoint_labels_stay_in_range():
    fractions = torch.tensor(
        [
            [-0.3, 0.0, 1.0, 1.7],
            [0.9, 0.5, 0.1, 0.5],  # out of order
            [math.nan] * 4,
            [0.25, math.nan, 0.75, math.inf],
        ]
    )
    labels = keypoint_labels(fractions, (16, 8), [13, 14, 15, 7])
    assert labels.tolist() == [
        [0, 0, 14, 6],
        [12, 7, 1, 3],
        [IGNORED] * 4,
        [3, IGNORED, 11, 6],
    ]


@pytest.mark.parametrize("map_width", [4, 8, 16, 32])
@pytest.mark.parametrize("frame_width", [64, 128])
def test_a_flip_maps_each_columns_label_to_its_mirror(frame_width, map_width):
    columns = torch.arange(frame_width)
    fractions = torch.zeros(frame_width, 4)
    fractions[:, 3] = (columns + 0.5) / frame_width
    flipped = fractions.clone()
    flipped[:, 3] = (frame_width - 1 - columns + 0.5) / frame_width
    torch.testing.assert_close(flipped[:, 3], 1 - fractions[:, 3])
    classes = [13, 14, 15, map_width - 1]
    label = keypoint_labels(fractions, (16, map_width), classes)[:, 3]
    mirrored = keypoint_labels(flipped, (16, map_width), classes)[:, 3]
    assert torch.equal(mirrored, map_width - 2 - label)
    assert label.unique().tolist() == list(range(map_width - 1))


def test_foreground_loss_is_equation_15():
    torch.manual_seed(0)
    logits, target = torch.randn(3, 1, 4, 2), torch.rand(3, 1, 4, 2)
    map_ = logits.sigmoid()
    expected = -(target * map_.log() + (1 - target) * (1 - map_).log()).mean()
    torch.testing.assert_close(foreground_loss(logits, target), expected)


def test_foreground_targets_by_area_see_what_points_miss():
    target = torch.zeros(1, 1, 64, 32)
    target[..., 11:21] = 1  # between the columns of points 0, 10.3, 20.7 and 31
    by_points = resize_foreground(target, (8, 4), "official")
    by_area = resize_foreground(target, (8, 4), "area")
    torch.testing.assert_close(by_area, target.unfold(2, 8, 8).unfold(3, 8, 8).mean((4, 5)))
    assert by_area.mean() == target.mean()
    assert by_points.mean() < 0.9 * target.mean()
    logits = torch.randn(1, 1, 8, 4)
    torch.testing.assert_close(
        foreground_loss(logits, target, "area"), foreground_loss(logits, by_area)
    )
    criterion = RfcnetLoss(3, foreground_resizing="area")
    assert criterion.foreground_resizing == "area"
    with pytest.raises(ValueError, match=r'foreground_resizing "nearest"'):
        RfcnetLoss(3, foreground_resizing="nearest")


def test_foreground_targets_are_resized_between_their_corners():
    target = torch.arange(5.0).view(1, 1, 5, 1).expand(1, 1, 5, 3) / 4
    resized = torch.tensor([0, 0.5, 1]).view(1, 1, 3, 1).expand(1, 1, 3, 2)
    logits = torch.randn(1, 1, 3, 2)
    expected = F.binary_cross_entropy_with_logits(logits, resized)
    torch.testing.assert_close(foreground_loss(logits, target), expected)


def test_extreme_logits_stay_finite():
    logits = torch.tensor([200.0, -200.0]).view(1, 1, 2, 1).requires_grad_()
    loss = foreground_loss(logits, torch.tensor([0.0, 1.0]).view(1, 1, 2, 1))
    loss.backward()
    assert loss == 200
    assert logits.grad.isfinite().all()


def unit(vector):
    return vector / vector.norm()


@pytest.mark.parametrize(("scale", "divisor"), [("official", 6), ("literal", 1)])
def test_regularisation_is_equations_4_and_7(outputs, batch, scale, divisor):
    criterion = build_criterion("rfcnet", 2, regularization_scale=scale)
    losses = criterion(outputs._replace(blocks=outputs.blocks[:1]), batch)
    spatial = outputs.blocks[0].spatial
    la = lp = 0
    for t in range(FRAMES):
        f, p = spatial.initial[t], spatial.positions[t]
        sa, sp = spatial.appearance[t], spatial.position[t]
        for i in range(6):
            for j in range(6):
                la = la + (unit(sa[i]) @ unit(sa[j]) - unit(f[i]) @ unit(f[j])).abs()
                distance = math.hypot(p[i, 0] - p[j, 0], p[i, 1] - p[j, 1])  # Eq. 6
                lp = lp + (unit(sp[i]) @ unit(sp[j]) - (1 - 2 * distance)).abs()
    torch.testing.assert_close(losses["appearance"], la / FRAMES / divisor)
    torch.testing.assert_close(losses["position"], lp / FRAMES / divisor)


def test_position_similarity_and_its_clamp():
    corners = torch.tensor([[[0.0, 0.0, 1, 1], [1.0, 1.0, 1, 1], [0.3, 0.4, 1, 1]]])
    similarity = position_similarity(corners)
    torch.testing.assert_close(similarity[0, 0], torch.tensor([1, 1 - 2 * math.sqrt(2), 0]))
    assert torch.equal(similarity[0], similarity[0].T)
    assert position_similarity(corners, clamp=True)[0, 0].tolist() == pytest.approx([1, -1, 0])


def test_clamp_reaches_the_loss(outputs, batch):
    # The random positions are closer than 1, so they are pulled apart to go below -1.
    positions = 3 * outputs.blocks[0].spatial.positions
    spatial = outputs.blocks[0].spatial._replace(positions=positions)
    outputs = outputs._replace(blocks=(outputs.blocks[0]._replace(spatial=spatial),))
    free = build_criterion("rfcnet", 2)(outputs, batch)["position"]
    clamped = build_criterion("rfcnet", 2, clamp_position=True)(outputs, batch)["position"]
    target = position_similarity(positions).clamp(-1, 1)
    expected = (cosine_similarity(spatial.position) - target).abs().sum((1, 2)).mean() / 6
    torch.testing.assert_close(clamped, expected)
    assert clamped < free


def test_coinciding_positions_have_a_finite_gradient():
    positions = torch.zeros(1, 3, 4, requires_grad=True)
    position_similarity(positions).sum().backward()
    assert torch.equal(positions.grad, torch.zeros(1, 3, 4))


@pytest.mark.parametrize("detach", [False, True])
def test_detaching_the_appearance_target(outputs, batch, detach):
    criterion = build_criterion("rfcnet", 2, detach_target=detach)
    criterion(outputs, batch)["appearance"].backward()
    gradient = outputs.blocks[0].spatial.initial.grad
    assert (gradient is None) == detach


def test_frames_without_supervision_are_skipped(outputs, batch):
    partly = {name: value.clone() for name, value in batch.items()}
    partly["keypoints"][0, 1] = math.nan
    partly["foreground"][2, 0] = math.nan
    losses = build_criterion("rfcnet", 2)(outputs, partly)
    block = outputs.blocks[0]
    rows = [0, 2, 3, 4, 5]
    expected = keypoint_loss(
        [line[rows] for line in block.regions.keypoint_logits],
        batch["keypoints"].flatten(0, 1)[rows],
        (HEIGHT, WIDTH),
    )
    single = build_criterion("rfcnet", 2)(outputs._replace(blocks=(block,)), partly)
    torch.testing.assert_close(single["keypoints"], expected)
    rows = [0, 1, 2, 3, 5]
    expected = foreground_loss(
        block.foreground_logits[rows], batch["foreground"].flatten(0, 1)[rows]
    )
    torch.testing.assert_close(single["foreground"], expected)
    losses["loss"].backward()
    assert block.foreground_logits.grad.isfinite().all()
    assert torch.equal(block.foreground_logits.grad[4], torch.zeros(1, HEIGHT, WIDTH))
    assert torch.equal(block.regions.keypoint_logits[0].grad[1], torch.zeros(5))


def test_without_any_supervision_the_terms_are_exactly_zero(outputs, batch):
    nothing = {name: torch.full_like(batch[name], math.nan) for name in ("keypoints", "foreground")}
    losses = build_criterion("rfcnet", 2)(outputs, {**batch, **nothing})
    assert losses["keypoints"] == 0
    assert losses["foreground"] == 0
    losses["loss"].backward()
    assert torch.equal(
        outputs.blocks[0].foreground_logits.grad, torch.zeros(FRAMES, 1, HEIGHT, WIDTH)
    )


@pytest.mark.parametrize(
    ("options", "supervision"),
    [
        ({}, ("keypoints", "foreground")),
        ({"lambda_keypoints": 0}, ("foreground",)),
        ({"lambda_foreground": 0.0}, ("keypoints",)),
        ({"lambda_keypoints": 0, "lambda_foreground": 0}, ()),
    ],
)
def test_supervision_follows_the_weights(outputs, batch, options, supervision):
    criterion = build_criterion("rfcnet", 2, **options)
    assert criterion.supervision == supervision
    given = {name: batch[name] for name in ("pid", *supervision)}
    losses = criterion(outputs, given)
    assert {"keypoints", "foreground"} & losses.keys() == set(supervision)


@pytest.mark.parametrize("name", ["keypoints", "foreground"])
def test_missing_supervision_is_named(outputs, batch, name):
    del batch[name]
    with pytest.raises(ValueError, match=rf'no "{name}".*`data\.supervision`.*lambda_{name}'):
        build_criterion("rfcnet", 2)(outputs, batch)


def test_unknown_scale():
    with pytest.raises(ValueError, match=r'regularization_scale "sum".*official.*literal'):
        build_criterion("rfcnet", 2, regularization_scale="sum")
