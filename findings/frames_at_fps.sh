#!/usr/bin/env bash
# One picture a second of a video of 25 frames a second, written by ffmpeg's filter fps=1 or its option -r 1, as
# frames are taken for annotation.
#
# Guess: picture k is frame 25 k, of second k: 0, 25, 50 and so on.
# Seen: the filter gives frames 12, 37, 62: half a second late, since it rounds times to the nearest second and
#   keeps the last frame that is rounded to each. The option gives frames 0, 1, 22, 47: one picture more at the
#   start, and then 3 frames before the second. A person is drawn on one frame and looked for on another, 12 away.
#   With fps=1:round=up, picture k is frame 25 k.
# Fails if the filter or the option give the guessed frames, or if rounding up does not.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check imageio-ffmpeg==0.8.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import subprocess
import sys

import imageio_ffmpeg
import numpy as np

FRAMES, RATE, DARKEST = 200, 25, 30  # each frame is evenly grey, brighter by one than the one before


def ffmpeg(*options, input=b""):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *options]
    return subprocess.run(command, input=input, check=True, capture_output=True).stdout


version = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-version"], capture_output=True, text=True)
print(version.stdout.split(" Copyright")[0], "of imageio-ffmpeg", imageio_ffmpeg.__version__)
raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "64x64"]
pictures = b"".join(np.full((64, 64), DARKEST + n, np.uint8).tobytes() for n in range(FRAMES))
ffmpeg(*raw, "-r", str(RATE), "-i", "-", "-c:v", "libx264", "-qp", "0", "gate.mp4", input=pictures)

expected = [*range(0, FRAMES, RATE)]
right = {}
for name in ("-vf fps=1", "-r 1", "-vf fps=1:round=up"):
    taken = ffmpeg("-i", "gate.mp4", *name.split(), "-f", "rawvideo", "-pix_fmt", "gray", "-")
    greys = np.frombuffer(taken, np.uint8).reshape(-1, 64 * 64).mean(axis=1)
    numbers = np.rint(greys - DARKEST).astype(int).tolist()
    right[name] = numbers == expected
    print(f"{name:19} frames", *numbers)
if [*right.values()] != [False, False, True]:
    sys.exit("The behaviour has changed.")
PYTHON
