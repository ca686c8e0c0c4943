import cv2
import numpy as np
import pytest

from torchreid_occ.data.supervision import Supervision
from torchreid_occ.occlusion.cutouts import (
    Donor,
    DonorSearch,
    check_donors,
    fill_holes,
    find_donors,
    largest_part,
    whole_person,
)
from torchreid_occ.occlusion.sprites import Placed, Sprite, mean_colour, paste, soft_sprite

HEIGHT, WIDTH = 128, 64
LINES = np.array([0.24, 0.52, 0.74, 0.5], np.float32)


def person():
    """A head, a body and legs."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (32, 16), 7, 1, -1)
    cv2.rectangle(mask, (20, 28), (44, 70), 1, -1)
    cv2.rectangle(mask, (28, 20), (36, 30), 1, -1)
    cv2.rectangle(mask, (22, 70), (42, 120), 1, -1)
    return mask.astype(bool)


def moved(mask, columns):
    padded = np.pad(mask, ((0, 0), (WIDTH, WIDTH)))
    return padded[:, WIDTH - columns : 2 * WIDTH - columns]


def with_hole(mask):
    mask = mask.copy()
    mask[30:50, 28:36] = False
    return mask


def in_two_parts(mask):
    mask = mask.copy()
    mask[60:75] = False
    return mask


def headless(mask):
    mask = mask.copy()
    mask[:28] = False
    return mask


def test_a_whole_person_can_be_cut_out():
    box, fault = whole_person(person(), LINES)
    assert (box, fault) == ((20, 9, 45, 121), "")
    assert whole_person(person()) == (box, "")


@pytest.mark.parametrize(
    ("mask", "fault"),
    [
        (None, "no mask"),
        (np.zeros((HEIGHT, WIDTH), bool), "no mask"),
        (np.ones((HEIGHT, WIDTH), bool), "too small or too large"),
        (np.tile(np.arange(HEIGHT)[:, None] < 60, (1, WIDTH)), "not as tall and slender"),
        (moved(person(), 20), "cut off by the frame's border"),
        (moved(person(), -19), "cut off by the frame's border"),
        (in_two_parts(person()), "in several parts"),
        (with_hole(person()), "with holes"),
        (headless(person()), "without head or feet"),
    ],
)
def test_what_cannot_be_cut_out(mask, fault):
    box, found = whole_person(mask, LINES)
    assert box is None
    assert fault in found


@pytest.mark.parametrize("lines", [LINES + 0.2, np.full(4, np.nan, np.float32)])
def test_lines_say_whether_head_and_feet_are_there(lines):
    assert whole_person(person(), lines) == (None, "without head or feet")


def test_holes_and_parts():
    mask = with_hole(person())
    np.testing.assert_array_equal(fill_holes(mask), person())
    mask = person()
    mask[2:5, 2:5] = True
    np.testing.assert_array_equal(largest_part(mask), person())


def test_too_few_people_are_refused_with_what_was_wrong():
    donors = [Donor(f"train/{n:05d}", n, 0, (), (9, 9, 9)) for n in range(12)]
    with pytest.raises(ValueError, match=r"12 people of 1 cameras, but needed are 10 people of 2"):
        check_donors(DonorSearch(donors, {"": 12}), "train")
    found = DonorSearch(donors[:3], {"": 3, "with holes": 1234, "no mask": 5})
    with pytest.raises(ValueError, match=r"3 people.*5 no mask, 1,234 with holes") as caught:
        check_donors(found, "test")
    assert "Of 1,242 frames 3 can be used" in str(caught.value)


def test_frames_of_an_unsure_person_or_in_the_dark_are_left_out(tmp_path):
    levels = {"sure": 120, "unjudged": 120, "unsure": 120, "nobody": 120, "dark": 60}
    paths = [f"{tmp_path}/{name}.png" for name in levels]
    for path, (name, level) in zip(paths, levels.items(), strict=True):
        cv2.imwrite(path, np.full((HEIGHT, WIDTH, 3), level, np.uint8))
        (tmp_path / "masks" / name).mkdir(parents=True)
        mask = 255 * person().astype(np.uint8)
        cv2.imwrite(f"{tmp_path}/masks/{name}/foreground.png", mask)
    masks = Supervision(foreground_dir=tmp_path / "masks")
    scores = {"sure.png": 0.95, "unsure.png": 0.94, "nobody.png": None, "dark.png": 1.0}
    found = find_donors({"train": [(tuple(paths), 7, 1, 0)]}, masks, scores, seed=0)
    (donor,) = found.donors
    assert [cutout.path for cutout in donor.walk] == paths[:2]
    assert found.frames == {"": 2, "no sure person": 2, "in the dark": 1}


def sprite(colour, size=(20, 30)):
    picture = np.full((*size[::-1], 3), colour, np.uint8)
    return soft_sprite(picture, np.ones(size[::-1], bool), (100, 100, 100))


def test_a_sprite_covers_the_frame_where_it_is_and_nothing_else():
    frame = np.full((HEIGHT, WIDTH, 3), 10, np.uint8)
    covered = paste(frame, Placed(sprite((200, 0, 50)), 0.25, 0.5, 0.5, 1.25))
    rows, columns = np.nonzero(covered)
    # One pixel of each border of 20 x 30 pixels is trimmed.
    assert 63 < rows.min() <= 68
    assert rows.max() == HEIGHT - 1
    assert (columns.min(), columns.max()) == (17, 30)
    assert (frame[90, 20:28] == (200, 0, 50)).all()
    untouched = np.ones((HEIGHT, WIDTH), bool)
    untouched[64:, 16:32] = False
    assert (frame[untouched] == 10).all()


@pytest.mark.parametrize("corners", [(1.0, 0, 1.4, 1), (-0.5, 0, 0, 1), (0, 1, 1, 2)])
def test_a_sprite_outside_the_frame_changes_nothing(corners):
    frame = np.full((HEIGHT, WIDTH, 3), 10, np.uint8)
    assert not paste(frame, Placed(sprite((200, 0, 50)), *corners)).any()
    assert (frame == 10).all()


def test_mean_colour_of_frames_of_several_sizes():
    frames = [np.full((2, 2, 3), (10, 20, 30), np.uint8), np.full((4, 3, 3), 90, np.uint8)]
    assert mean_colour(frames) == (70, 72, 75)


def test_edges_are_soft_and_colours_do_not_bleed():
    found = sprite((255, 255, 255))
    assert isinstance(found, Sprite)
    assert found.image.mode == "RGBa"
    pixels = np.asarray(found.image)
    assert pixels[0, 0, 3] < 64
    assert (pixels[3:-3, 3:-3, 3] == 255).all()
    assert (pixels[..., :3] <= pixels[..., 3:]).all()
