#!/usr/bin/env bash
# A video whose frames come at varying times, as phones and cameras at night write it, read by
# the FFMPEG plugin of imageio.
#
# Guess: iterating gives each stored frame once, as OpenCV and PyAV do; times are lost at most.
# Seen: the plugin has ffmpeg bring the frames to a constant rate: the frame before a gap is
#   repeated to fill it, and 30 frames become 140. Frame numbers no longer agree with annotations or
#   with detections that another reader gave, and a person seems to stand still in every gap.
# Fails if the plugin gives each frame once, or if another reader does not.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
  imageio==2.38.1 imageio-ffmpeg==0.8.1 av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from fractions import Fraction

import av
import cv2
import imageio
import imageio.v3
import imageio_ffmpeg
import numpy as np

MILLISECONDS = Fraction(1, 1000)
COUNT = 30

print("imageio", imageio.__version__, "imageio-ffmpeg", imageio_ffmpeg.__version__, "PyAV",
      av.__version__, "OpenCV", cv2.__version__)
with av.open("night.mp4", "w") as container:
    stream = container.add_stream("mpeg4", rate=30)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    stream.bit_rate = 20_000_000
    stream.options = {"qmin": "1", "qmax": "2", "g": "1"}
    stream.codec_context.time_base = MILLISECONDS
    time = 0
    for number in range(COUNT):
        pixels = np.full((64, 64, 3), 20 + 7 * number, np.uint8)  # each frame has its own grey
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = time, MILLISECONDS
        container.mux(stream.encode(frame))
        time += 400 if number % 3 == 1 else 33
    container.mux(stream.encode())


def numbers(frames):
    """Returns the number of each frame, read off its grey."""
    return [round((float(np.mean(frame)) - 20) / 7) for frame in frames]


def by_opencv():
    capture = cv2.VideoCapture("night.mp4")
    while (read := capture.read())[0]:
        yield read[1]


seen = {
    "imageio, FFMPEG": numbers(imageio.v3.imiter("night.mp4", plugin="FFMPEG")),
    "imageio, pyav": numbers(imageio.v3.imiter("night.mp4", plugin="pyav")),
    "OpenCV": numbers(by_opencv()),
}
print(f"written: {COUNT} frames in {time / 1000:.1f} s")
for name, found in seen.items():
    print(f"{name}: {len(found)} frames, {len(set(found))} different, first {found[:16]}")
filled = len(seen.pop("imageio, FFMPEG"))
if filled < 2 * COUNT or {len(found) for found in seen.values()} != {COUNT}:
    sys.exit("The behaviour has changed.")
PYTHON
