"""Videos that were cut or joined by copying their streams, as recorders export them."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
from small_videos import image

from torchreid_occ.footage import pyav
from torchreid_occ.footage.video import read_frames, scan_video

RATE = 25
FRAMES = 48
GROUP = 12  # frames from keyframe to keyframe


@pytest.fixture
def whole(tmp_path):
    """Returns the path of a video with a keyframe every twelve frames."""
    path = tmp_path / "whole.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.gop_size = 160, 120, GROUP
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(image(number + 1), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def copied(source, name, moved_by):
    """Copies a video without encoding it again.

    `moved_by` gives, for a packet's number, by how many frames its times of showing and of decoding
    are moved; None leaves the packet out.
    """
    path = source.with_name(name)
    index_first = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(source)) as container, av.open(str(path), "w", options=index_first) as copy:
        stream = container.streams.video[0]
        target = copy.add_stream_from_template(stream)
        step = round(1 / RATE / stream.time_base)
        for number, packet in enumerate(p for p in container.demux(stream) if p.dts is not None):
            later = moved_by(number)
            if later is None:
                continue
            packet.pts += step * later[0]
            packet.dts += step * later[1]
            packet.stream = target
            copy.mux(packet)
    return path


@pytest.fixture
def cut(whole):
    """Returns the path of a clip from frame 21 on: it stores those from the keyframe before it."""
    return copied(whole, "cut.mp4", lambda number: (-20, -20) if number >= GROUP else None)


def test_frames_before_a_cut_are_not_missing(cut, caplog):
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        scanned = scan_video(cut)
    assert (len(scanned.times), scanned.announced) == (FRAMES - 20, FRAMES - GROUP)
    assert pyav.excess_frames(cut) == 20 - GROUP
    assert not caplog.text
    first = dict(read_frames(scanned))[1]
    assert np.abs(first.astype(int) - image(21)).mean() < 5


def test_a_cut_clip_that_is_truncated_ends_early(cut, caplog):
    with av.open(str(cut)) as container:
        *_, third_last, _, _ = (packet.pos for packet in container.demux(video=0) if packet.size)
    cut.write_bytes(cut.read_bytes()[:third_last])
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        assert len(scan_video(cut).times) == FRAMES - 20 - 3
    assert "cut short or is damaged" in caplog.text


def test_a_length_in_place_of_a_number_is_no_promise(whole, caplog):
    path = copied(whole, "whole.mkv", lambda number: (0, 0))
    assert pyav.excess_frames(path) == RATE
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        assert len(scan_video(path).times) == FRAMES
    assert not caplog.text


def test_times_that_go_back_are_told(whole, caplog):
    def moved_by(number):
        """Moves the first 30 behind later ones, and the last, which makes the header's rate low."""
        if number == FRAMES - 1:
            return 20, 20
        return (10, 0) if number < 30 else (0, 0)

    joined = copied(whole, "joined.mp4", moved_by)
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        scanned = scan_video(joined)
    assert "do not increase at frame 31" in caplog.text
    assert f"come {RATE} a second" in caplog.text
    np.testing.assert_allclose(scanned.times, np.arange(FRAMES) / RATE)


def test_without_pyav_the_header_counts(cut, caplog, monkeypatch):
    monkeypatch.setattr(pyav, "pyav", lambda: None)
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        scan_video(cut)
    assert f"has {FRAMES - GROUP} frames by its header, but ends after {FRAMES - 20}" in caplog.text
