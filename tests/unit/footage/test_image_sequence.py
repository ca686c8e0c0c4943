"""Folders of frames in place of videos."""

import logging

import cv2
import numpy as np
import pytest
from PIL import Image
from small_videos import SIZE, image

from torchreid_occ.footage.image_sequence import find_sequence
from torchreid_occ.footage.video import read_frames, scan_video, video_hash

INFO = "[Sequence]\nname=walk\nimDir=img1\nframeRate=25\nseqLength=12\nimWidth=160\n"


@pytest.fixture
def walk(tmp_path):
    """A sequence as MOTChallenge's, of twelve frames."""
    folder = tmp_path / "walk"
    (folder / "img1").mkdir(parents=True)
    for number in range(1, 13):
        cv2.imwrite(str(folder / f"img1/{number:06d}.png"), image(number))
    (folder / "seqinfo.ini").write_text(INFO)
    return folder


@pytest.mark.parametrize("below", ["", "img1"])
def test_frames_and_rate_of_a_sequence(walk, below):
    scanned = scan_video(walk / below)
    assert (len(scanned.times), scanned.announced, scanned.size) == (12, 12, SIZE)
    assert scanned.frame_rate == pytest.approx(25)
    assert find_sequence(walk / below).name == "walk"
    frames = dict(read_frames(scanned, 3))
    assert [*frames] == [*range(3, 13)]
    for number, frame in frames.items():
        assert np.array_equal(frame, image(number))
    assert video_hash(walk / below) == video_hash(walk)


def test_the_given_rate_comes_first_and_is_needed_without_a_file(walk, tmp_path):
    assert scan_video(walk, 5).frame_rate == pytest.approx(5)
    (walk / "seqinfo.ini").unlink()
    for folder in (walk, walk / "img1", (walk / "img1").rename(tmp_path / "plain")):
        if folder.exists() and (folder == tmp_path / "plain" or (folder / "img1").exists()):
            with pytest.raises(ValueError, match=r"holds images, and no seqinfo\.ini .*frame_rate"):
                scan_video(folder)
            assert scan_video(folder, 4).times.tolist() == [n / 4 for n in range(12)]


def test_natural_order_without_leading_zeros_and_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(9, 12):
        turned = Image.fromarray(np.rot90(image(number)[..., ::-1]).copy())
        turned.save(tmp_path / f"frame_{number}.png", exif=exif)
    scanned = scan_video(tmp_path, 10)
    assert scanned.size == SIZE
    frames = [frame for _, frame in read_frames(scanned)]
    assert all(np.array_equal(frames[n], image(9 + n)) for n in range(3))


def test_numbers_that_begin_elsewhere_are_said(tmp_path, caplog):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number:06d}.png"), image(number))
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        assert len(scan_video(tmp_path, 10).times) == 3
    assert "begins with 000000.png, which is frame 1" in caplog.text


def test_missing_frames_are_an_error(walk):
    (walk / "img1/000005.png").unlink()
    with pytest.raises(
        ValueError, match=r"000006\.png follows 000004\.png in .*a frame is missing"
    ):
        scan_video(walk)
    cv2.imwrite(str(walk / "img1/000005.png"), image(5))
    (walk / "img1/000012.png").rename(walk / "img1/000012.jpg")
    cv2.imwrite(str(walk / "img1/cover.jpg"), image(5))
    with pytest.raises(ValueError, match=r"cover\.jpg follows 000012\.jpg"):
        scan_video(walk)


def test_fewer_frames_than_announced(walk, caplog):
    (walk / "img1/000012.png").unlink()
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        assert len(scan_video(walk).times) == 11
    assert "has 12 frames by its header, but ends after 11" in caplog.text


def test_frames_that_do_not_belong_together(walk):
    cv2.imwrite(str(walk / "img1/000007.png"), image(7, (80, 60)))
    with pytest.raises(ValueError, match=r"000007\.png has 80x60 pixels, but .*160x120"):
        scan_video(walk)
    (walk / "img1/000007.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"000007\.png.*the file is empty"):
        scan_video(walk)


@pytest.mark.parametrize(
    "info", ["", "[Sequence]\nname=a\n", "frameRate=3", "[Sequence]\nframeRate=x"]
)
def test_a_damaged_information_file_is_named(walk, info):
    (walk / "seqinfo.ini").write_text(info)
    with pytest.raises(ValueError, match=r"seqinfo\.ini is not MOTChallenge's file"):
        scan_video(walk)


def test_an_impossible_rate_and_a_folder_without_frames(walk, tmp_path):
    (walk / "seqinfo.ini").write_text("[Sequence]\nframeRate=0\n")
    with pytest.raises(ValueError, match=r"seqinfo\.ini gives an impossible frame rate"):
        scan_video(walk)
    with pytest.raises(ValueError, match="is a folder without frames"):
        scan_video(tmp_path)


def test_frames_that_went_away_are_an_error(walk):
    scanned = scan_video(walk)
    (walk / "img1/000012.png").unlink()
    with pytest.raises(ValueError, match="had 12 frames, but frame 12 cannot be read any more"):
        list(read_frames(scanned))
