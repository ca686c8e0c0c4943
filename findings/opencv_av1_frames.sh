#!/usr/bin/env bash
# An AV1 video in the wheel of OpenCV 5.0.
#
# Guess: a reader that lacks a decoder does not open the file: isOpened() is False. If it opens and
#   tells the number of frames, it can read them.
# Seen: the wheel opens the file and announces all frames, with the right size and rate, but read()
#   gives none: its FFmpeg has AV1 for hardware decoders only. On a machine without one, a sound
#   file looks like an empty or damaged one. PyAV decodes the same file.
# Fails if OpenCV reads a frame (as it may where the hardware decodes AV1) or does not open the
#   file, or if PyAV does not read all.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
  opencv-python-headless==5.0.0.93 av==18.1.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import os
import sys

os.environ["SVT_LOG"] = "1"  # errors of the encoder only
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # nothing

import av
import cv2
import numpy as np

COUNT, SIZE = 30, 128

print("OpenCV", cv2.__version__, "PyAV", av.__version__, "numpy", np.__version__)
with av.open("street.mp4", "w") as container:
    stream = container.add_stream("libsvtav1", rate=25)
    stream.width = stream.height = SIZE
    stream.pix_fmt = "yuv420p"
    for number in range(COUNT):
        pixels = np.full((SIZE, SIZE, 3), 60, np.uint8)
        pixels[32:112, 2 * number : 2 * number + 24] = 200  # someone who walks
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
    container.mux(stream.encode())

with av.open("street.mp4") as container:
    codec = container.streams.video[0].codec.canonical_name
    decoded = sum(1 for _ in container.decode(video=0))
capture = cv2.VideoCapture("street.mp4")
opened = capture.isOpened()
announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
rate = capture.get(cv2.CAP_PROP_FPS)
read = 0
while capture.read()[0]:
    read += 1
print(f"PyAV: codec {codec}, {decoded} frames of {COUNT}")
print(f"OpenCV: opened {opened}, announces {announced} frames at {rate:g} a second, reads {read}")
if decoded != COUNT or not opened or announced != COUNT or read:
    sys.exit("The behaviour has changed.")
PYTHON
