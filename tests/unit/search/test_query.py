import cv2
import numpy as np
import pytest
from PIL import Image
from small_videos import COLOURS as WALKERS
from small_videos import FRAMES, corners, mot_lines, write_video

from torchreid_occ.search import query as module
from torchreid_occ.search.query import (
    box_query,
    build_query,
    folder_query,
    follow_query,
    image_query,
    track_query,
)

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


def test_the_folder_of_a_person_holds_tracklets(tmp_path):
    for name in ("anna/3_morning/2.png", "anna/3_morning/1.png", "anna/7/1.png", "bob/1/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 8)).save(tmp_path / name)
    found = folder_query(tmp_path / "anna")
    assert [[frame[len(str(tmp_path)) :] for frame in part] for part in found.parts] == [
        ["/anna/3_morning/1.png", "/anna/3_morning/2.png"],
        ["/anna/7/1.png"],
    ]
    assert found.frames == [frame for part in found.parts for frame in part]
    assert found.title == f"{tmp_path}/anna: 3_morning, 7"
    one = folder_query(tmp_path / "bob")
    assert one.frames == [f"{tmp_path}/bob/1/1.png"] and not one.parts
    with pytest.raises(ValueError, match=r"Neither .* name one of the .* such as .*anna/3_morning"):
        folder_query(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty nor its subfolders hold images \(\.jpg"):
        folder_query(tmp_path / "empty")


def test_invalid_queries(footage, tmp_path):
    video, tracks = footage / "gate.avi", footage / "tracks.txt"
    with pytest.raises(ValueError, match=r"has no track 8; the first it has are 7, 9"):
        track_query(video, tracks, 8)
    detections = tmp_path / "det.txt"
    detections.write_text("1,-1,5,10,16,40,0.9\n")
    with pytest.raises(ValueError, match=r"det.txt holds detections without ids, and so no track"):
        track_query(video, detections, 8)
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


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Two people who walk past each other, their detections and their tracks."""
    folder = tmp_path_factory.mktemp("walk")
    write_video(folder / "gate.avi")
    (folder / "det.txt").write_text("\n".join(mot_lines()))
    (folder / "tracks.txt").write_text("\n".join(mot_lines({1: 30, 2: 40})))
    return folder


def box_of(person, frame, shift=0):
    left, top, right, bottom = corners(person, frame)
    return left + shift, top - shift, right - left, bottom - top


def assert_person(query, person, frames):
    assert len(query.frames) == len(frames)
    assert query.title.endswith(f"followed in frames {frames[0]} to {frames[-1]}")
    for crop in query.frames:
        colour = crop[8:-8, 4:-4].mean((0, 1))[::-1]
        assert np.abs(colour - WALKERS[person]).max() < 40


@pytest.mark.parametrize("person", [1, 2])
@pytest.mark.parametrize("frame", [2, 15, FRAMES])
@pytest.mark.parametrize("file", ["det.txt", "tracks.txt"])
def test_the_person_in_a_box_is_followed_both_ways(walk, person, frame, file):
    box = box_of(person, frame, shift=3)
    first = 1 if file == "tracks.txt" else 2  # a track begins with its second detection
    found = follow_query(walk / "gate.avi", box, frame, tracks=walk / file)
    assert_person(found, person, [*range(first, FRAMES + 1)])
    part = build_query(
        video=walk / "gate.avi", box=box, frame=frame, tracks=walk / file, span=(2, FRAMES)
    )
    assert_person(part, person, [*range(2, FRAMES + 1)])


def test_the_frame_of_a_box_is_the_first_of_its_span(walk):
    video, tracks = walk / "gate.avi", walk / "det.txt"
    found = build_query(video=video, box=box_of(1, 9), tracks=tracks, span=(9, 14))
    assert_person(found, 1, [*range(9, 15)])
    found = build_query(video=video, box=box_of(1, 9), tracks=tracks, span=(9, 9))
    assert_person(found, 1, [*range(2, FRAMES + 1)])


def test_the_first_and_a_weak_detection_are_followed_too(walk, tmp_path):
    found = follow_query(walk / "gate.avi", box_of(1, 1), 1, tracks=walk / "det.txt")
    assert_person(found, 1, [*range(1, FRAMES + 1)])
    weak = tmp_path / "weak.txt"
    weak.write_text("\n".join(mot_lines(score=0.4)))
    found = follow_query(walk / "gate.avi", box_of(2, 10), 10, tracks=weak)
    assert_person(found, 2, [*range(10, FRAMES + 1)])


def test_a_detector_follows_in_the_span_alone(walk, monkeypatch):
    seen = []

    def detector(frame):
        blue = np.flatnonzero(((frame[..., 0] > 200) & (frame[..., 1] < 100)).any(0))
        seen.append(int(blue[0]))
        return np.array([[blue[0], 10, blue[0] + 16, 50]]), np.array([1.6])

    built = []
    monkeypatch.setattr(module, "build_detector", lambda *a, **k: built.append((a, k)) or detector)
    found = build_query(
        video=walk / "gate.avi", box=box_of(1, 12), frame=12, detector="hog", span=(8, 20)
    )
    assert_person(found, 1, [*range(9, 21)])
    assert len(seen) == 13 and built == [(("hog", None), {"min_height": 40})]


def test_a_box_without_a_person_is_refused(walk):
    video, tracks = walk / "gate.avi", walk / "det.txt"
    message = r"No box of frame 4 overlaps .* by 30% .*: 17 10 16 40; 118 70 16 40\."
    with pytest.raises(ValueError, match=message):
        follow_query(video, (60, 10, 16, 40), 4, tracks=tracks)
    with pytest.raises(ValueError, match=r"The frame is 31, but .*gate\.avi has 1 to 30"):
        follow_query(video, box_of(1, 30), 31, tracks=tracks)
    with pytest.raises(ValueError, match="box is in frame 4, which is not in 5 to 9"):
        follow_query(video, box_of(1, 4), 4, tracks=tracks, span=(5, 9))
    for wrong in ({"tracks": tracks}, {"frame": 4}, {"frame": 4, "tracks": tracks, "track": 1}):
        with pytest.raises(ValueError, match=r"a file of boxes \(tracks\) or a detector"):
            build_query(video=video, box=box_of(1, 4), **wrong)
    with pytest.raises(ValueError, match="do not belong together"):
        build_query(video=video, box=box_of(1, 4), frame=4, tracks=tracks, detector="hog")
