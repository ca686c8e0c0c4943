#!/usr/bin/env bash
# Two clips of a recording, cut by copying the stream from a time between keyframes (ffmpeg -ss ... -c copy) and
# joined by copying (the concat demuxer), as evidence is put together.
#
# Guess: the joined file shows the frames of the first clip and then those of the second, as each file shows them.
# Seen: a cut clip stores the frames from the keyframe before it, which its edit list hides. With B-frames, as x264
#   writes by default, the second clip's are shown once joined: 20 frames from before its cut come back, within a
#   few milliseconds, and the frames' times go back. A person who left before the cut walks in the middle of the
#   file, and the rate by the header, frames over length, is 29 a second for 25. Without B-frames all is right.
# Fails if the joined file shows what the clips show, or its times increase, by OpenCV or PyAV.
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
FRAMES, RATE, GROUP = 120, 25, 50  # frames, a second, from keyframe to keyframe
FIRST = 70  # frame of the clips
DARKEST = 60  # frames are evenly grey, each brighter by one


def ffmpeg(*options, input=b""):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *options]
    subprocess.run(command, input=input, check=True)


def read_opencv(path):
    capture = cv2.VideoCapture(path)
    while (frame := capture.read()[1]) is not None:
        yield frame[..., 0].mean() - DARKEST, capture.get(cv2.CAP_PROP_POS_MSEC)


def read_pyav(path):
    for frame in av.open(path).decode(video=0):
        yield frame.to_ndarray(format="bgr24").mean() - DARKEST, 1000 * frame.time


pictures = b"".join(np.full((64, 64), DARKEST + n, np.uint8).tobytes() for n in range(FRAMES))
ffmpeg(
    "-f", "rawvideo", "-pix_fmt", "gray", "-s", "64x64", "-r", str(RATE), "-i", "-",
    "-c:v", "libx264", "-g", str(GROUP), "-pix_fmt", "yuv420p", "recording.mp4", input=pictures,
)  # fmt: skip
ffmpeg("-ss", str(FIRST / RATE), "-i", "recording.mp4", "-c", "copy", "clip.mp4")
with open("clips.txt", "w") as clips:
    clips.write("file clip.mp4\n" * 2)
ffmpeg("-f", "concat", "-i", "clips.txt", "-c", "copy", "joined.mp4")

changed = False
for read in (read_opencv, read_pyav):
    clip = [*read("clip.mp4")]
    numbers, times = np.transpose([*read("joined.mp4")])
    hidden = int(np.sum(numbers < FIRST - 0.5))
    back = int(np.sum(np.diff(times) < 0))
    print(
        f"{read.__name__.removeprefix('read_')}: the clip shows {len(clip)} frames, two joined show "
        f"{len(numbers)}, {hidden} of them from before the cut; times go back {back} times"
    )
    changed |= len(clip) != FRAMES - FIRST or hidden < 15 or back == 0
rate = cv2.VideoCapture("joined.mp4").get(cv2.CAP_PROP_FPS)
print(f"rate by the header: {rate:.1f}")
sys.exit("The behaviour has changed." if changed or rate < RATE + 1 else 0)
PYTHON
