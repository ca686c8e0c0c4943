#!/usr/bin/env bash
# H.264 and H.265 without a container (.h264, .264, .265), as recorders export it, of a camera with 10 frames a
# second. The coded stream itself states its rate.
#
# Guess: a reader gives the stated 10 frames a second, or none.
# Seen: OpenCV gives 25 frames a second and 0 as the time of each frame, and so does PyAV's average_rate, with None
#   as time: FFmpeg takes 25 wherever there is no container. Motion JPEG even has times, of 25 a second. A
#   minute lasts 24 s then, and a person walks two and a half times as fast. PyAV has the stated rate as
#   guessed_rate. The same frames in MP4 come at 10 everywhere.
# Fails if OpenCV or average_rate give 10 without a container, or if guessed_rate does not for H.264 and H.265.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 av==18.1.0 imageio-ffmpeg==0.8.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

import av
import cv2
import imageio_ffmpeg
import numpy as np

print(*(f"{n} {version(n)}" for n in ("opencv-python-headless", "av", "imageio-ffmpeg")))
FRAMES, RATE = 60, 10
pictures = b"".join(np.full((96, 64), 40 + 2 * n, np.uint8).tobytes() for n in range(FRAMES))


def write(path, codec):
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "gray",
        "-s", "64x96", "-r", str(RATE), "-i", "-", "-c:v", codec, "-pix_fmt", "yuv420p", path,
    ]  # fmt: skip
    subprocess.run(command, input=pictures, check=True, capture_output=True)


EXPECTED = {  # codec, and the rates of OpenCV, average_rate and guessed_rate
    "gate.h264": ("libx264", [25, 25, RATE]),
    "gate.h265": ("libx265", [25, 25, RATE]),
    "gate.mjpeg": ("mjpeg", [25, 25, 25]),
    "gate.mp4": ("libx264", [RATE, RATE, RATE]),
}
changed = False
for path, (codec, expected) in EXPECTED.items():
    write(path, codec)
    capture, last = cv2.VideoCapture(path), 0.0
    while capture.read()[0]:
        last = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    with av.open(path) as container:
        stream = container.streams.video[0]
        rates = [float(rate) for rate in (capture.get(cv2.CAP_PROP_FPS), stream.average_rate, stream.guessed_rate)]
        times = [frame.time for frame in container.decode(stream)]
    print(f"{path}: OpenCV {rates[0]:g} a second, frame {FRAMES} at {last:.1f} s; PyAV's average_rate {rates[1]:g}, "
          f"guessed_rate {rates[2]:g}, frame {len(times)} at {times[-1]}")
    changed |= rates != expected
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
