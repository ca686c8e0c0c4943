import cv2
import numpy as np
import pytest
from PIL import Image

from torchreid_occ.search.query import box_query, folder_query, image_query, track_query

COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10), (10, 250, 250)]  # RGB


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """Five frames, each grey but for a box of its own colour that moves to the right."""
    folder = tmp_path_factory.mktemp("my footage\n人")
    writer = cv2.VideoWriter(
        str(folder / "gate.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48)
    )
    lines = []
    for number, colour in enumerate(COLOURS, start=1):
        frame = np.full((48, 64, 3), 128, np.uint8)
        frame[8:40, 8 * number : 8 * number + 16] = colour[::-1]
        writer.write(frame)
        lines.append(f"{number},7,{8 * number},8,16,32,1,-1,-1,-1")
    writer.release()
    (folder / "tracks.txt").write_text("\n".join([*lines[::-1], "1,9,60,40,16,32,1"]))
    return folder


def assert_colours(crops, colours):
    assert [crop.shape for crop in crops] == [(32, 16, 3)] * len(colours)
    for crop, colour in zip(crops, colours, strict=True):
        np.testing.assert_allclose(crop[4:-4, 4:-4].mean((0, 1)), colour, atol=12)


def test_a_track_is_cut_out_of_its_video(footage):
    found = track_query(footage / "gate.avi", footage / "tracks.txt", 7)
    assert_colours(found.frames, COLOURS)
    assert found.title == f"{footage}/gate.avi, track 7, frames 1 to 5"
    part = track_query(footage / "gate.avi", footage / "tracks.txt", 7, (2, 4))
    assert_colours(part.frames, COLOURS[1:4])
    (cut_off,) = track_query(footage / "gate.avi", footage / "tracks.txt", 9).frames
    assert cut_off.shape == (8, 4, 3)  # at the frame's edge


def test_a_box_stays_where_it_is(footage):
    found = box_query(footage / "gate.avi", (16, 8, 16, 32), (2, 2))
    assert_colours(found.frames, COLOURS[1:2])
    assert found.title.endswith("gate.avi, box 16,8,16,32, frames 2 to 2")
    assert len(box_query(footage / "gate.avi", (16, 8, 16, 32), (2, 5)).frames) == 4


def test_a_crop_of_an_image(tmp_path):
    path = tmp_path / "a b.png"
    pixels = np.arange(40 * 30 * 3, dtype=np.uint8).reshape(40, 30, 3)
    Image.fromarray(pixels).save(path)
    (crop,) = image_query(path, (4, 6, 10, 20)).frames
    np.testing.assert_array_equal(crop, pixels[6:26, 4:14])
    (crop,) = image_query(path, (-5, 30, 10, 20)).frames
    np.testing.assert_array_equal(crop, pixels[30:, :5])
    assert image_query(path).frames == [str(path)]


def test_a_box_is_in_the_pixels_that_a_viewer_shows(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "phone.png", exif=exif)
    (crop,) = image_query(tmp_path / "phone.png", (4, 6, 10, 20)).frames
    np.testing.assert_array_equal(crop, pixels[6:26, 4:14])


def test_a_folder_in_the_order_of_its_frames(tmp_path):
    for name in ("10.png", "9.png"):
        Image.new("RGB", (4, 8)).save(tmp_path / name)
    found = folder_query(tmp_path)
    assert [frame.rsplit("/")[-1] for frame in found.frames] == ["9.png", "10.png"]


def test_invalid_queries(footage, tmp_path):
    video, tracks = footage / "gate.avi", footage / "tracks.txt"
    with pytest.raises(ValueError, match=r"has no track 8; the first it has are 7, 9"):
        track_query(video, tracks, 8)
    with pytest.raises(ValueError, match=r"in frames 1 to 5, none of which is in 6 to 9"):
        track_query(video, tracks, 7, (6, 9))
    with pytest.raises(ValueError, match=r"frames are 3 to 2, but must count up"):
        box_query(video, (0, 0, 9, 9), (3, 2))
    with pytest.raises(ValueError, match=r"None of 2 boxes is usable"):
        box_query(video, (100, 0, 9, 9), (1, 2))
    with pytest.raises(FileNotFoundError, match=r"no image .*missing.png"):
        image_query(tmp_path / "missing.png")
    Image.new("RGB", (4, 8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"box has no area inside .*a.png"):
        image_query(tmp_path / "a.png", (10, 10, 5, 5))
    with pytest.raises(FileNotFoundError, match=r"there is no folder"):
        folder_query(tmp_path / "missing")
