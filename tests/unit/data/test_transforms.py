import numpy as np
import pytest
import torch
from PIL import Image

from torchreid_occ.data.transforms import IMAGENET_MEAN, IMAGENET_STD, ClipTransform

HEIGHT, WIDTH = 64, 32
PLAIN = {"norm_mean": (0.0, 0.0, 0.0), "norm_std": (1.0, 1.0, 1.0)}


def marked_frame(row, column, size=(WIDTH, HEIGHT), mode="RGB"):
    """Black, with a white cross centred on (row, column): it survives resizing and cropping."""
    pixels = np.zeros((size[1], size[0]), np.uint8)
    pixels[row, :] = 255
    pixels[:, column] = 255
    return Image.fromarray(pixels).convert(mode)


def test_without_augmentation_equals_torchreids_steps():
    rng = np.random.default_rng(0)
    frames = [
        Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8))
        for h, w in ((80, 40), (64, 32), (50, 41))  # sizes may differ within a tracklet
    ]
    img, keypoints, foreground = ClipTransform(HEIGHT, WIDTH, ("random_flip",))(frames)
    assert keypoints is None
    assert foreground is None
    assert type(img) is torch.Tensor
    assert img.shape == (3, 3, HEIGHT, WIDTH)
    for frame, result in zip(frames, img, strict=True):
        pixels = np.asarray(frame.resize((WIDTH, HEIGHT), Image.BILINEAR), np.float32) / 255
        expected = (pixels - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)
        np.testing.assert_allclose(result.permute(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_frames_are_resized_as_chosen_and_foreground_maps_bilinearly(interpolation):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 41, 3), dtype=np.uint8)
    frame, mask = Image.fromarray(pixels), Image.fromarray(pixels[..., 0])
    transform = ClipTransform(HEIGHT, WIDTH, interpolation=interpolation, **PLAIN)
    img, _, foreground = transform([frame], None, [mask])
    resized = frame.resize((WIDTH, HEIGHT), Image.Resampling[interpolation.upper()])
    np.testing.assert_allclose(
        img[0].permute(1, 2, 0), np.asarray(resized, np.float32) / 255, atol=1e-6
    )
    bilinear = np.asarray(mask.resize((WIDTH, HEIGHT), Image.BILINEAR), np.float32) / 255
    np.testing.assert_allclose(foreground[0, 0], bilinear, atol=1e-6)


def test_other_interpolations_are_refused():
    with pytest.raises(ValueError, match=r"\"nearest\", but expected to be one of .*'bicubic'"):
        ClipTransform(HEIGHT, WIDTH, interpolation="nearest")


def test_crosses_masks_and_lines_move_together():
    transform = ClipTransform(HEIGHT, WIDTH, ("random_flip", "random_crop"), training=True, **PLAIN)
    rows, columns = (20, 40), (8, 21)
    frames = [marked_frame(r, c) for r, c in zip(rows, columns, strict=True)]
    foregrounds = [frame.convert("L") for frame in frames]
    lines = np.float32(
        [[(r + 0.5) / HEIGHT] * 3 + [(c + 0.5) / WIDTH] for r, c in zip(rows, columns, strict=True)]
    )
    flips, crops = set(), set()
    for seed in range(60):
        img, keypoints, foreground = transform(frames, lines, foregrounds, seed)
        torch.testing.assert_close(foreground, img[:, :1])
        # In pixel centres: fraction * size - 0.5.
        row = keypoints[:, 0] * HEIGHT - 0.5
        column = keypoints[:, 3] * WIDTH - 0.5
        for t in range(2):
            # A row away from the cross's column shows its row, and the other way round.
            profile = img[t, 0].sum(1)
            assert abs(int(profile.argmax()) - row[t]) <= 0.75
            profile = img[t, 0].sum(0)
            assert abs(int(profile.argmax()) - column[t]) <= 0.75
        torch.testing.assert_close(keypoints[:, 0], keypoints[:, 1])
        flips.add(bool(column[0] > column[1]))
        crops.add(round(float(row[0]), 3))
    assert flips == {False, True}
    assert len(crops) > 4


def test_cropped_lines_may_leave_the_frame():
    transform = ClipTransform(HEIGHT, WIDTH, ("random_crop",), training=True)
    frames = [marked_frame(0, 0)]
    lines = np.float32([[0.0, 0.5, 1.0, 0.0]])
    moved = torch.cat([transform(frames, lines, None, seed)[1] for seed in range(40)])
    # torchvision before 0.24 clamps them to the frame, which the class labels do, too.
    assert moved[:, 0].min() <= 0
    assert moved[:, 2].max() >= 1 - 1 / HEIGHT


@pytest.mark.parametrize(
    ("image_width", "classes"), [(128, 8), (128, 16), (64, 8), (64, 4), (48, 6)]
)
def test_flipped_column_agrees_with_the_class_label(image_width, classes):
    """FIDELITY 7: pixels flip to W-1-c, class labels to w-2-label; both give the same class."""

    def label(fraction):
        return (np.round(fraction * classes) - 1).clip(0, classes - 2)

    transform = ClipTransform(16, image_width, ("random_flip",), training=True)
    frame = [Image.new("RGB", (image_width, 16))]
    seeds = {}
    for seed in range(20):
        column = float(transform(frame, np.float32([[0, 0, 0, 0.25]]), None, seed)[1][0, 3])
        seeds[column] = seed
    flipping = seeds[0.75]
    for c in range(image_width):
        fraction = (c + 0.5) / image_width
        flipped = transform(frame, np.float32([[0.1, 0.2, 0.3, fraction]]), None, flipping)[1][0]
        torch.testing.assert_close(flipped, torch.tensor([0.1, 0.2, 0.3, 1 - fraction]))
        assert label(float(flipped[3])) == classes - 2 - label(fraction)


def test_erasing_takes_one_rectangle_from_all_frames_and_the_foreground():
    transform = ClipTransform(HEIGHT, WIDTH, ("random_erase",), training=True)
    frames = [Image.new("RGB", (WIDTH, HEIGHT), "white")] * 3
    foregrounds = [Image.new("L", (WIDTH, HEIGHT), 255), None, Image.new("L", (WIDTH, HEIGHT), 255)]
    lines = np.float32([[0.2, 0.5, 0.7, 0.4]] * 3)
    areas = []
    for seed in range(40):
        img, keypoints, foreground = transform(frames, lines, foregrounds, seed)
        erased = (img == 0).all(1)  # 0 after normalisation is the mean
        assert (erased == erased[0]).all()
        rows, columns = erased[0].nonzero(as_tuple=True)
        if len(rows):
            height, width = (int(i.max() - i.min()) + 1 for i in (rows, columns))
            assert height * width == len(rows)
        for t in (0, 2):
            assert torch.equal(foreground[t, 0], (~erased[t]).float())
        assert foreground[1].isnan().all()
        torch.testing.assert_close(keypoints, torch.from_numpy(lines))
        areas.append(len(rows) / (HEIGHT * WIDTH))
    assert 10 <= sum(area == 0 for area in areas) <= 30  # p = 0.5
    assert max(areas) <= 0.42


def test_frames_are_erased_one_by_one():
    transform = ClipTransform(HEIGHT, WIDTH, ("random_erase_frames",), training=True)
    frames = [Image.new("RGB", (WIDTH, HEIGHT), "white")] * 4
    foregrounds = [Image.new("L", (WIDTH, HEIGHT), 255)] * 4
    whole, shared = 0, 0
    for seed in range(40):
        img, _, foreground = transform(frames, None, foregrounds, seed)
        erased = (img == 0).all(1)
        assert torch.equal(foreground[:, 0], (~erased).float())
        touched = erased.flatten(1).any(1)
        whole += int((~touched).sum())
        shared += touched.sum() > 1 and bool((erased[touched] == erased[touched][0]).all())
        alone = transform(frames, None, None, seed)[0]
        assert torch.equal(alone, img)
    assert 50 <= whole <= 110  # p = 0.5 for each of 160 frames
    assert shared == 0


def test_frames_are_painted_one_by_one_in_colours_of_their_own():
    transform = ClipTransform(HEIGHT, WIDTH, ("random_paint_frames",), training=True)
    frames = [Image.new("RGB", (WIDTH, HEIGHT), "white")] * 4
    foregrounds = [Image.new("L", (WIDTH, HEIGHT), 255)] * 4
    white = ClipTransform(HEIGHT, WIDTH)(frames)
    colours = []
    for seed in range(40):
        img, _, foreground = transform(frames, None, foregrounds, seed)
        hidden = foreground[:, 0] == 0
        assert torch.equal((img != white[0]).any(1), hidden)
        colours += [
            frame[:, mask].mean(1) for frame, mask in zip(img, hidden, strict=True) if mask.any()
        ]
    assert 50 <= len(colours) <= 110  # p = 0.5 for each of 160 frames
    assert torch.stack(colours).std(0).min() > 0.8


def test_colour_jitter_is_shared_and_leaves_the_foreground():
    transform = ClipTransform(HEIGHT, WIDTH, ("color_jitter",), training=True, **PLAIN)
    frames = [Image.new("RGB", (WIDTH, HEIGHT), (100, 100, 100))] * 2
    foregrounds = [Image.new("L", (WIDTH, HEIGHT), 128)] * 2
    levels = set()
    for seed in range(20):
        img, _, foreground = transform(frames, None, foregrounds, seed)
        assert torch.equal(img[0], img[1])
        assert torch.equal(foreground, torch.full((2, 1, HEIGHT, WIDTH), 128 / 255))
        levels.add(round(float(img.mean()) * 255))
    assert len(levels) > 5
    assert min(levels) >= 79
    assert max(levels) <= 121


def test_what_is_not_known_stays_nan():
    transform = ClipTransform(
        HEIGHT, WIDTH, ("random_flip", "random_crop", "random_erase"), training=True
    )
    frames = [marked_frame(3, 3, size=(20, 50))] * 3
    foregrounds = [None, Image.new("L", (20, 50), 255), None]
    lines = np.float32([[np.nan] * 4, [0.2, np.nan, 0.7, 0.4], [0.1, 0.2, 0.3, np.nan]])
    for seed in range(20):
        _, keypoints, foreground = transform(frames, lines, foregrounds, seed)
        np.testing.assert_array_equal(keypoints.isnan(), np.isnan(lines))
        assert foreground.isnan().flatten(1).all(1).tolist() == [True, False, True]
        assert not foreground[1].isnan().any()
        assert foreground.dtype == torch.float32
    assert transform(frames, None, [None] * 3, 0)[2].isnan().all()


def test_draws_are_keyed_and_leave_the_global_state():
    transform = ClipTransform(
        HEIGHT,
        WIDTH,
        ("random_flip", "random_crop", "color_jitter", "random_erase"),
        training=True,
    )
    frames = [marked_frame(20, 8)] * 2
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = transform(frames, seed=2**62 + 7)[0]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert torch.equal(transform(frames, seed=2**62 + 7)[0], first)
    assert not torch.equal(transform(frames, seed=2**62 + 8)[0], first)


def test_unknown_names_are_listed():
    with pytest.raises(ValueError, match=r"\['random_patch'\].*'random_flip', 'random_crop'"):
        ClipTransform(HEIGHT, WIDTH, ("random_flip", "random_patch"))
