"""Rates that a file states wrongly, or not at all."""

import logging
import struct

import av
import numpy as np
import pytest
from small_videos import FPS, FRAMES, SIZE, image

from torchreid_occ.footage import pyav
from torchreid_occ.footage.video import scan_video


def with_rate(path, scale, rate):
    """Writes other numbers into the stream header of an AVI: rate / scale frames a second."""
    content = bytearray(path.read_bytes())
    place = content.index(b"strh") + 28
    content[place : place + 8] = struct.pack("<II", scale, rate)
    path.write_bytes(content)
    return path


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


def write_stream(path, codec, pixels, rate):
    """Writes frames as a coded stream without a container, which has no times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
        for number in range(1, FRAMES + 1):
            frame = av.VideoFrame.from_ndarray(image(number), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_stream_without_times_has_the_rate_that_it_states(tmp_path, caplog):
    path = write_stream(tmp_path / "gate.h264", "libx264", "yuv420p", FPS)
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        scanned = scan_video(path)
    np.testing.assert_allclose(scanned.times, np.arange(FRAMES) / FPS)
    assert f"taken to come {FPS} a second, as it says itself" in caplog.text
    caplog.clear()
    np.testing.assert_allclose(scan_video(path, 5).times, np.arange(FRAMES) / 5)
    assert not caplog.text


@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_a_stream_of_unknown_rate_is_told(tmp_path, caplog, monkeypatch, codec):
    suffix, pixels = ("mjpeg", "yuvj420p") if codec == "mjpeg" else ("h264", "yuv420p")
    path = write_stream(tmp_path / f"gate.{suffix}", codec, pixels, FPS)
    if codec == "libx264":  # OpenCV alone does not know what the stream states
        monkeypatch.setattr(pyav, "pyav", lambda: None)
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        scanned = scan_video(path)
    np.testing.assert_allclose(scanned.times, np.arange(FRAMES) / 25)
    assert "taken to come 25 a second, as FFmpeg does if it does not know" in caplog.text
