import logging
import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from small_videos import FPS, FRAMES, SIZE, image, write_video
from support import REPOSITORY

from torchreid_occ.footage import pyav, reading
from torchreid_occ.footage.pyav import decoded, sought
from torchreid_occ.footage.video import chosen_frames, read_frames, scan_video


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


def change_stamps(monkeypatch, change):
    """Makes a function change the times that OpenCV gives."""
    grabbed = reading.grabbed
    changed = lambda *args: ((change(stamp), pixels) for stamp, pixels in grabbed(*args))  # noqa: E731
    monkeypatch.setattr(reading, "grabbed", changed)


def test_stamps_that_decrease_are_replaced_by_the_frame_rate(monkeypatch, video):
    change_stamps(monkeypatch, lambda stamp: stamp % 500)
    np.testing.assert_allclose(scan_video(video).times, np.arange(FRAMES) / FPS)


def test_stamps_that_stand_still_are_replaced_by_the_frame_rate(monkeypatch, video, caplog):
    change_stamps(monkeypatch, lambda stamp: max(stamp, 200))  # of the first three frames
    np.testing.assert_allclose(scan_video(video).times, np.arange(FRAMES) / FPS)
    assert "do not increase at frame 2," in caplog.text


def test_a_variable_rate_keeps_its_times(monkeypatch, video):
    change_stamps(monkeypatch, lambda stamp: 70 + stamp**1.1)
    expected = (100.0 * np.arange(FRAMES)) ** 1.1 / 1000
    np.testing.assert_allclose(scan_video(video).times, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["notes.txt", "notes.avi", "empty.mp4"])
def test_files_that_are_no_videos(tmp_path, name):
    (tmp_path / name).write_bytes(b"" if name == "empty.mp4" else b"walked by at noon\n" * 99)
    with pytest.raises(ValueError, match=rf"{name} \(\d+ bytes\) is no video that OpenCV can read"):
        scan_video(tmp_path / name)


def test_a_video_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no video"):
        scan_video(tmp_path / "gone.avi")


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


def encoded(
    path,
    codec="mpeg4",
    sizes=(SIZE,),
    times=range(12),
    pixel_format="yuv420p",
    keyframes=12,
    matrix=None,
):
    """Writes a video of some streams by PyAV, with a time for each frame in tenths of a second."""
    with av.open(str(path), "w") as file:
        streams = []
        for width, height in sizes:
            stream = file.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
            stream.codec_context.gop_size = keyframes
            if matrix is not None:
                stream.codec_context.colorspace = matrix
            streams.append(stream)
        for number, time in enumerate(times, start=1):
            for stream in streams:
                pixels = image(number, (stream.width, stream.height))
                frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
                frame.pts, frame.time_base = time, Fraction(1, 10)
                file.mux(stream.encode(frame))
        for stream in streams:
            file.mux(stream.encode())
    return path


def turned(path, degrees, side=1):
    """Changes the display matrix of an .mp4, as a phone that was turned; -1 mirrors its sides."""
    cosine, sine = round(np.cos(np.radians(degrees))), round(np.sin(np.radians(degrees)))
    matrix = [side * cosine, sine, 0, -side * sine, cosine, 0, 0, 0, 1 << 14]
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    content[place : place + 36] = struct.pack(">9i", *(value << 16 for value in matrix))
    path.write_bytes(content)
    return path


@pytest.fixture
def without_decoder(monkeypatch):
    monkeypatch.setattr(reading, "grabbed", lambda capture, wanted: iter(()))


@pytest.mark.parametrize(("degrees", "side"), [(0, 1), (90, 1), (180, 1), (0, -1), (90, -1)])
def test_a_video_that_is_to_be_mirrored_is_named(tmp_path, caplog, degrees, side):
    path = turned(encoded(tmp_path / "a.mp4"), degrees, side)
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        scan_video(path)
    assert ("is to be shown mirrored" in caplog.text) == (side == -1)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_pyav_reads_the_frames_that_opencv_reads(tmp_path, degrees, monkeypatch):
    path = turned(encoded(tmp_path / "a.mp4"), degrees)
    by_opencv = scan_video(path)
    expected = dict(read_frames(by_opencv))
    monkeypatch.setattr(reading, "grabbed", lambda capture, wanted: iter(()))
    scanned = scan_video(path)
    assert (by_opencv.reader, scanned.reader) == ("opencv", "pyav")
    assert scanned.size == by_opencv.size == (SIZE if degrees % 180 == 0 else SIZE[::-1])
    np.testing.assert_allclose(scanned.times, by_opencv.times, atol=1e-6)
    frames = dict(read_frames(scanned))
    assert [*frames] == [*expected] == [*range(1, 13)]
    for number, frame in frames.items():
        assert np.abs(frame.astype(int) - expected[number]).mean() < 3
    late = dict(read_frames(scanned, 11))
    assert [*late] == [11, 12] and np.array_equal(late[12], frames[12])


def test_a_codec_that_nothing_decodes_is_named(tmp_path):
    """OpenCV opens an animated WebP and decodes no frame, and FFmpeg does not either."""
    path = tmp_path / "a.webp"
    frames = [Image.fromarray(image(number)) for number in range(1, 5)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(
        ValueError, match=r"a\.webp.*(its codec, 'webp' \(neither does PyAV\)|no video)"
    ):
        scan_video(path)


def test_what_to_do_about_a_codec(without_decoder, monkeypatch, tmp_path):
    path = encoded(tmp_path / "a.mkv")
    monkeypatch.setattr(pyav, "pyav", lambda: None)
    monkeypatch.setattr(reading, "pyav", lambda: None)
    message = r"no decoder of its codec, '(FMP4|mp4v)' .*torchreid-occ\[footage\]. .*libx264"
    with pytest.raises(ValueError, match=message):
        scan_video(path)


AV1 = REPOSITORY.parent / "shared" / "real" / "odd_videos" / "av1_video.mkv"


@pytest.mark.skipif(not AV1.is_file(), reason="needs a real AV1 video")
def test_a_real_av1_video():
    scanned = scan_video(AV1)
    assert (len(scanned.times), scanned.size) == (125, (640, 360))
    assert scanned.frame_rate == pytest.approx(25)
    assert len([*read_frames(scanned, 120)]) == 6


@pytest.mark.parametrize("sizes", [((160, 120), (320, 240)), ((320, 240), (160, 120))])
def test_of_two_streams_the_first_is_read_and_that_is_said(tmp_path, caplog, sizes):
    path = encoded(tmp_path / "two.mkv", sizes=sizes)
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        assert scan_video(path).size == sizes[0]
    first, second = (f"{width}x{height} mpeg4" for width, height in sizes)
    assert f"holds 2 video streams ({first}; {second}): the first is read" in caplog.text
    _, pixels = next(iter(decoded(path, lambda number: True)))
    assert pixels.shape[1::-1] == sizes[0]
    caplog.clear()
    scan_video(encoded(tmp_path / "one.mkv"))
    assert "streams" not in caplog.text


@pytest.mark.parametrize(
    ("size", "matrix", "said"),
    [((1280, 720), 2, True), ((1280, 720), 1, False), ((160, 120), 2, False)],
)
def test_hd_that_does_not_say_its_colour_matrix_is_named(tmp_path, caplog, size, matrix, said):
    path = encoded(tmp_path / "hd.mp4", "libx264", (size,), range(2), matrix=matrix)
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        scan_video(path)
    assert ("does not say how its colours were encoded" in caplog.text) == said


def test_frames_are_found_by_counting_where_the_rate_varies(tmp_path, monkeypatch):
    path = encoded(tmp_path / "varying.mkv", times=[0, 1, 2, 3, 20, 21, 22, 23, 24, 50, 80, 81])
    scanned = scan_video(path)
    expected = np.array([0, 1, 2, 3, 20, 21, 22, 23, 24, 50, 80, 81]) / 10
    np.testing.assert_allclose(scanned.times, expected, atol=1e-6)
    for first in (1, 5, 10, 12):
        for number, frame in read_frames(scanned, first):
            found = min(range(1, 13), key=lambda n: np.abs(frame.astype(int) - image(n)).mean())
            assert found == number
        assert number == 12


ADDRESSES = [
    "rtsp://anna:secret@10.0.0.9:554/stream1",
    "RTSP://cam/1",
    "rtmp://cam/1",
    "http://cam/video.mp4",
    "https://cam/live.m3u8",
    "udp://@:1234",
    "srt://cam:9000",
]


@pytest.mark.parametrize("address", [*ADDRESSES, *map(Path, ADDRESSES)])
def test_the_address_of_a_stream_is_refused_as_one(address):
    with pytest.raises(ValueError, match=r"address of a stream \(\w+\).*record it first") as error:
        scan_video(address)
    assert "secret" not in str(error.value)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="path of a device or a pipe, not of a video file"):
        scan_video(tmp_path / "pipe")


TIMES = [0, 1, 2, 3, 20, 21, 22, 23, 24, 50, 80, 81, 82, 83, 84, 90, 91, 92, 93, 95, 96, 97]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi", "a.ts", "a.mjpeg"])
@pytest.mark.parametrize("numbers", [[2, 9, 22], [20], [22, 1, 12, 13], [4, 5, 6]])
def test_chosen_frames_are_those_of_their_numbers(tmp_path, name, numbers):
    codec = {"a.mjpeg": "mjpeg", "a.ts": "mpeg2video", "a.mkv": "libx264"}.get(name, "mpeg4")
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encoded(tmp_path / name, codec, times=TIMES, pixel_format=pixel_format, keyframes=5)
    scanned = scan_video(path, 10)
    frames = dict(read_frames(scanned))
    chosen = [*chosen_frames(scanned, numbers)]
    assert [number for number, _ in chosen] == sorted(numbers)
    for number, frame in chosen:
        assert np.abs(frame.astype(int) - frames[number]).mean() < 3
        found = min(frames, key=lambda other: np.abs(frame.astype(int) - frames[other]).mean())
        assert found == number


def test_frames_are_sought_from_the_keyframe_before_them(tmp_path, monkeypatch):
    path = encoded(tmp_path / "a.mkv", "libx264", times=TIMES, keyframes=5)
    frames = dict(sought(path, [3, 4, 18], len(TIMES), SIZE))
    assert [*frames] == [3, 4, 18]
    expected = dict(read_frames(scan_video(path)))
    assert all(np.abs(frames[n].astype(int) - expected[n]).mean() < 3 for n in frames)
    # Where fewer frames were decoded than the container has times, numbers are not certain.
    assert [*sought(path, [3, 4, 18], len(TIMES) - 1, SIZE)] == []
    # Nor where the frame at a time is not decoded, as a reader may leave out those after a seek.
    index = pyav._index

    def other_times(*of):
        stamps, keys = index(*of)
        return [*stamps[:3], stamps[3] - 1, *stamps[4:]], keys

    monkeypatch.setattr(pyav, "_index", other_times)
    assert [number for number, _ in sought(path, [3, 4, 18], len(TIMES), SIZE)] == [3]


def test_chosen_frames_of_a_file_that_has_changed(video):
    scanned = scan_video(video)
    write_video(video, frames=5)
    with pytest.raises(ValueError, match="had 30 frames, but frame 9 cannot be read any more"):
        list(chosen_frames(scanned, [2, 9]))
