#!/usr/bin/env bash
# A video that is to be shown mirrored from left to right, as its display matrix says (of a camera in front of a
# screen, or after ffmpeg -display_hflip ... -c copy), read by OpenCV.
#
# Guess: frames come mirrored, as ffmpeg and players show them, or as they are stored. People stand on their feet.
# Seen: frames come turned by 180 degrees, people upside down: the matrix is taken for a turn, and a mirrored one has
#   the angle of half a turn. PyAV gives that angle as the frame's rotation. A file that is to be mirrored from top to
#   bottom comes as stored, so upside down where a camera that hangs from the ceiling is set so. A plain turn by 90
#   or 180 degrees is right. ffmpeg, encoding again, writes frames as they are to be shown.
# Fails if OpenCV gives mirrored files as ffmpeg does, or if it does not give turned ones so.
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

print(*(f"{name} {version(name)}" for name in ("opencv-python-headless", "av", "imageio-ffmpeg")))
SIDE = 128
GREYS = np.array([[40, 90], [150, 210]], np.uint8)  # of the quarters of the stored frame
SHOWN = {"as stored": GREYS, "mirrored left to right": GREYS[:, ::-1], "mirrored top to bottom": GREYS[::-1]}
SHOWN |= {f"turned by {90 * turns}": np.rot90(GREYS, turns) for turns in (1, 2, 3)}


def ffmpeg(*options, input=b""):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *options]
    return subprocess.run(command, input=input, check=True, capture_output=True).stdout


def name_of(frame):
    """Names what was done to the stored frame, by its quarters."""
    quarters = frame.reshape(2, SIDE // 2, 2, SIDE // 2).mean(axis=(1, 3))
    return min(SHOWN, key=lambda name: np.abs(SHOWN[name] - quarters).max())


picture = np.kron(GREYS, np.ones((SIDE // 2, SIDE // 2), np.uint8))
raw = ["-f", "rawvideo", "-pix_fmt", "gray"]
ffmpeg(*raw, "-s", f"{SIDE}x{SIDE}", "-r", "25", "-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", "stored.mp4",
       input=picture.tobytes() * 10)
NOTES = {"rotation 90": ["-display_rotation", "90"], "rotation 180": ["-display_rotation", "180"],
         "hflip": ["-display_hflip"], "vflip": ["-display_vflip"]}
same = {}
for note, options in NOTES.items():
    ffmpeg(*options, "-i", "stored.mp4", "-c", "copy", "noted.mp4")
    shown = np.frombuffer(ffmpeg("-i", "noted.mp4", "-frames:v", "1", *raw, "-"), np.uint8).reshape(SIDE, SIDE)
    read = cv2.VideoCapture("noted.mp4").read()[1][..., 0]
    with av.open("noted.mp4") as container:
        rotation = next(container.decode(video=0)).rotation
    same[note] = name_of(shown) == name_of(read)
    print(f"{note}: ffmpeg shows it {name_of(shown)}, OpenCV gives it {name_of(read)}; PyAV's rotation is {rotation}")
if [*same.values()] != [True, True, False, False]:
    sys.exit("The behaviour has changed.")
PYTHON
