import logging
import os
import struct

import cv2
import numpy as np
import pytest
from small_videos import FPS, FRAMES, SIZE, image, write_video

from torchreid_occ.footage.video import read_frames, scan_video


def with_rate(path, scale, rate):
    """Writes other numbers into the stream header of an AVI: rate / scale frames a second."""
    content = bytearray(path.read_bytes())
    place = content.index(b"strh") + 28
    content[place : place + 8] = struct.pack("<II", scale, rate)
    path.write_bytes(content)
    return path


def test_a_video_is_counted_and_read(video):
    scanned = scan_video(video)
    assert (len(scanned.times), scanned.announced, scanned.size) == (FRAMES, FRAMES, SIZE)
    np.testing.assert_allclose(scanned.times, np.arange(FRAMES) / FPS)
    assert scanned.frame_rate == pytest.approx(FPS)
    frames = dict(read_frames(scanned))
    assert [*frames] == [*range(1, FRAMES + 1)]
    for number in (1, FRAMES):
        assert np.abs(frames[number].astype(int) - image(number)).mean() < 5
    late = dict(read_frames(scanned, FRAMES - 1))
    assert [*late] == [FRAMES - 1, FRAMES]
    assert (late[FRAMES] == frames[FRAMES]).all()


def test_a_video_cut_short_is_read_as_far_as_it_goes(video, caplog):
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        scanned = scan_video(video)
    assert 5 < len(scanned.times) < FRAMES
    assert f"has {FRAMES} frames by its header, but ends after {len(scanned.times)}" in caplog.text
    assert len([*read_frames(scanned)]) == len(scanned.times)


def test_frames_of_another_size_come_in_the_first_ones(tmp_path):
    path = tmp_path / "mixed.mjpeg"
    sizes = [SIZE] * 4 + [(2 * SIZE[0], 2 * SIZE[1])] * 4
    parts = [cv2.imencode(".jpg", image(9, size))[1].tobytes() for size in sizes]
    path.write_bytes(b"".join(parts))
    scanned = scan_video(path)
    assert (len(scanned.times), scanned.size, scanned.announced) == (8, SIZE, None)
    for _, frame in read_frames(scanned):
        assert frame.shape == (SIZE[1], SIZE[0], 3)
        assert np.abs(frame.astype(int) - image(9)).mean() < 5


@pytest.mark.parametrize(("scale", "rate"), [(1, 1_000_000), (1000, 1)])
def test_an_impossible_frame_rate_is_an_error(video, scale, rate):
    with_rate(video, scale, rate)
    with pytest.raises(ValueError, match=r"gate\.avi gives an impossible .*\(frame_rate\)"):
        scan_video(video)
    assert scan_video(video, 5).times[-1] == pytest.approx((FRAMES - 1) / 5)


def test_a_frame_rate_of_nothing_still_has_times(video):
    with_rate(video, 0, 0)  # FFmpeg then takes the one of the main header
    assert scan_video(video).times[1] == pytest.approx(1 / FPS)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), 1e6])
def test_a_frame_rate_out_of_range(video, rate):
    with pytest.raises(ValueError, match=r"frame rate is .* must be within"):
        scan_video(video, rate)


def test_stamps_that_decrease_are_replaced_by_the_frame_rate(monkeypatch, video):
    from torchreid_occ.footage import video as module

    stamps = module._stamps
    monkeypatch.setattr(module, "_stamps", lambda capture: (t % 500 for t in stamps(capture)))
    np.testing.assert_allclose(scan_video(video).times, np.arange(FRAMES) / FPS)


def test_a_variable_rate_keeps_its_times(monkeypatch, video):
    from torchreid_occ.footage import video as module

    stamps = module._stamps
    monkeypatch.setattr(module, "_stamps", lambda capture: (70 + t**1.1 for t in stamps(capture)))
    expected = (100.0 * np.arange(FRAMES)) ** 1.1 / 1000
    np.testing.assert_allclose(scan_video(video).times, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["notes.txt", "notes.avi", "empty.mp4"])
def test_files_that_are_no_videos(tmp_path, name):
    (tmp_path / name).write_bytes(b"" if name == "empty.mp4" else b"walked by at noon\n" * 99)
    with pytest.raises(ValueError, match=rf"{name} \(\d+ bytes\) is no video that OpenCV can read"):
        scan_video(tmp_path / name)


def test_a_video_that_is_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "gone.avi"):
        with pytest.raises(FileNotFoundError, match="There is no video"):
            scan_video(path)


def test_a_video_without_frames(tmp_path):
    path = write_video(tmp_path / "none.avi", frames=0)
    with pytest.raises(ValueError, match=r"none\.avi.*(no frame|no video)"):
        scan_video(path)


def test_names_of_any_kind(tmp_path):
    for name in ("a b.avi", "Tür 门.avi", "100%d.avi", "line\nbreak.avi", "concat:x.avi"):
        path = write_video(tmp_path / "plain.avi", frames=3).rename(tmp_path / name)
        assert len(scan_video(path).times) == 3


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    """OpenCV ends the process at such a name."""
    path = write_video(tmp_path / "plain.avi").rename(
        os.fsdecode(os.fsencode(tmp_path) + b"/\xff.avi")
    )
    with pytest.raises(ValueError, match=r"\\udcff\.avi' is not a name in UTF-8: rename it"):
        scan_video(path)


def test_a_video_that_has_changed_is_an_error(video):
    scanned = scan_video(video)
    write_video(video, frames=5)
    with pytest.raises(ValueError, match="had 30 frames, but frame 6 cannot be read any more"):
        list(read_frames(scanned))
