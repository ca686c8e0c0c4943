#!/usr/bin/env bash
# Frames of a video asked for by number, by decord, whose "accurate seek" the loaders of many video networks rely
# on, and by imageio's plugin for PyAV.
#
# Guess: number 47 gives frame 47, as one counts by reading in order.
# Seen: both are right for H.264 in MP4. For H.265 as x265 writes it by default (open groups of pictures),
#   decord's frames after a seek are shifted: four ahead, from the first keyframe on, while reading in order is
#   right. For H.264 in an MPEG transport stream, as recorders write it, decord shifts 299 of 300 frames, in order,
#   too, and imageio gives another frame for nearly all. So boxes and labels by number meet other frames, without
#   an error.
# Fails if H.264 in MP4 is wrong, or if one of the three others is right.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    decord==0.6.0 imageio==2.38.1 av==18.1.0 imageio-ffmpeg==0.8.1 numpy==2.4.6
cd "$work"
venv/bin/python - 2> /dev/null <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

import decord
import imageio.v3 as imageio
import imageio_ffmpeg
import numpy as np

print(*(f"{name} {version(name)}" for name in ("decord", "imageio", "av", "imageio-ffmpeg")))
FRAMES, BITS, WIDTH, HEIGHT = 300, 9, 32, 96


def picture(number):
    """A frame that shows its number: a bar of WIDTH pixels a bit, bright for 1."""
    bits = [200 if number >> bit & 1 else 30 for bit in range(BITS)]
    return np.repeat(np.repeat(np.uint8([bits]), WIDTH, axis=1), HEIGHT, axis=0)


def number_of(frame):
    bars = frame[..., 0].reshape(HEIGHT, BITS, WIDTH).mean(axis=(0, 2))
    return sum(int(bar > 115) << bit for bit, bar in enumerate(bars))


def encode(path, *options):
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-f", "rawvideo", "-pix_fmt", "gray",
        "-s", f"{BITS * WIDTH}x{HEIGHT}", "-r", "25", "-i", "-", *options, "-g", "50",
        "-pix_fmt", "yuv420p", path,
    ]  # fmt: skip
    frames = b"".join(picture(number).tobytes() for number in range(FRAMES))
    subprocess.run(command, input=frames, check=True, capture_output=True)


asked = range(5, FRAMES, 7)
wrong = {}
for path, codec in (("h264.mp4", "libx264"), ("h265.mp4", "libx265"), ("h264.ts", "libx264")):
    encode(path, "-c:v", codec)
    in_order = [number_of(frame.asnumpy()) for frame in decord.VideoReader(path)]
    chosen = decord.VideoReader(path).get_batch(asked).asnumpy()
    by_imageio = (imageio.imread(path, index=number, plugin="pyav") for number in asked)
    found = {
        "decord": [number_of(frame) for frame in chosen],
        "imageio": [number_of(frame) for frame in by_imageio],
    }
    late = sum(shown != number for number, shown in enumerate(in_order))
    print(f"{path}: decord in order: {late} of {len(in_order)} wrong")
    for reader, numbers in found.items():
        shifts = np.subtract(numbers, asked)
        wrong[path, reader] = np.count_nonzero(shifts) / len(asked)
        print(f"  {reader} by number: {np.count_nonzero(shifts)} of {len(asked)} wrong,", end=" ")
        print(f"by {shifts.min()} to {shifts.max()} frames")
right = max(wrong["h264.mp4", "decord"], wrong["h264.mp4", "imageio"]) == 0
others = (("h265.mp4", "decord"), ("h264.ts", "decord"), ("h264.ts", "imageio"))
sys.exit(0 if right and min(wrong[other] for other in others) > 0.5 else "The behaviour has changed.")
PYTHON
