#!/usr/bin/env bash
# A video of a phone that was held upright: stored as 1280x720 with the note to turn it by 90 degrees, read by MoviePy.
#
# Guess: frames are 720 wide and 1280 high and show people upright, as OpenCV gives them, or lie on their side as they
#   are stored. Their proportions are right in both.
# Seen: the frames are turned and then squeezed to 1280x720: people stand upright, three times as wide for
#   their height as they are. MoviePy looks for the note in what ffmpeg prints, under its name in older versions of
#   ffmpeg, and does not find it in that of imageio-ffmpeg, on which it depends. So it has that ffmpeg, which turns the
#   frames by itself, scale them to the size in which they are stored.
# Fails if the frames of MoviePy are as high as OpenCV's, or if these are not the turned ones.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
  moviepy==2.2.1 imageio-ffmpeg==0.8.1 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

import cv2
import imageio_ffmpeg
import numpy as np
from moviepy import VideoFileClip

print(*(f"{name} {version(name)}" for name in ("moviepy", "imageio-ffmpeg", "opencv-python-headless")))
WIDTH, HEIGHT = 1280, 720  # as stored
PERSON = (320, 960, 240, 480)  # first and last row and column of a bright person in the upright frame


def ffmpeg(*options, input=b""):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *options]
    subprocess.run(command, input=input, check=True)


upright = np.full((WIDTH, HEIGHT), 40, np.uint8)
top, bottom, left, right = PERSON
upright[top:bottom, left:right] = 220
stored = np.ascontiguousarray(np.rot90(upright, -1))
raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "-"]
ffmpeg(*raw, "-c:v", "libx264", "-pix_fmt", "yuv420p", "stored.mp4", input=stored.tobytes() * 10)
ffmpeg("-display_rotation", "90", "-i", "stored.mp4", "-c", "copy", "phone.mp4")


def size_of_person(frame):
    bright = frame[..., 0] > 128
    return int(bright.any(axis=0).sum()), int(bright.any(axis=1).sum())


clip = VideoFileClip("phone.mp4")
frames = {"OpenCV": cv2.VideoCapture("phone.mp4").read()[1], "MoviePy": clip.get_frame(0)}
clip.close()
shapes = {}
for name, frame in frames.items():
    shapes[name] = frame.shape[:2], size_of_person(frame)
    (height, width), person = shapes[name]
    print(f"{name}: frames of {width}x{height}, a person of {person[0]}x{person[1]} (width x height)")
(opencv, true), (moviepy, seen) = shapes.values()
if opencv != (WIDTH, HEIGHT) or abs(true[0] - (right - left)) > 4:
    sys.exit("The behaviour has changed: OpenCV does not turn the frames.")
if moviepy != (HEIGHT, WIDTH) or seen[0] / seen[1] < 2.5 * true[0] / true[1]:
    sys.exit("The behaviour has changed.")
PYTHON
