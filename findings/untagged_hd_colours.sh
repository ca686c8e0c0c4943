#!/usr/bin/env bash
# Colours of HD video whose stream does not say by which matrix they were encoded, as of cameras that
# write BT.709 without its tag, or whose stream lost the tag on the way.
#
# Guess: a file of 1280x720 without a tag is read by BT.709, the standard of HD, as video players do.
# Seen: OpenCV, PyAV and imageio-ffmpeg read it by BT.601: a red of (200, 40, 40) comes as
#   (185, 23, 41), and a green of (40, 160, 60) as (47, 177, 61). With the tag all are right to 3 of 255,
#   so the same coat differs between two cameras of which one writes it.
# Fails if the colours are right without the tag, or wrong with it.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check av==18.1.0 \
    opencv-python-headless==5.0.0.93 imageio==2.38.1 imageio-ffmpeg==0.8.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import subprocess
import sys

import av
import cv2
import imageio.v2
import imageio_ffmpeg
import numpy as np

print("opencv", cv2.__version__, "av", av.__version__, "imageio-ffmpeg", imageio_ffmpeg.__version__)
COATS = np.array([(200, 40, 40), (40, 160, 60), (40, 60, 200), (220, 200, 60)])
frame = np.zeros((720, 1280, 3), np.uint8)
frame[:, : 64 * len(COATS)] = np.repeat(COATS, 64, axis=0)


def write(name, tag):
    """Five frames in BT.709; 1 is the tag of BT.709, 2 of none."""
    bits = f"h264_metadata=colour_primaries={tag}:transfer_characteristics={tag}:matrix_coefficients={tag}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", "1280x720", "-r", "5", "-i", "-", "-c:v", "libx264", "-qp", "1"]
    command += ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-bsf:v", bits]
    subprocess.run([*command, "-movflags", "-write_colr", name], input=frame.tobytes() * 5, check=True)


def read(name):
    yield "opencv", cv2.VideoCapture(name).read()[1][..., ::-1]
    with av.open(name) as container:
        yield "av", next(container.decode(video=0)).to_ndarray(format="rgb24")
    yield "imageio-ffmpeg", imageio.v2.get_reader(name, "ffmpeg").get_data(0)


right = True
for tag, title in ((1, "tagged"), (2, "not tagged")):
    write(f"{tag}.mp4", tag)
    for reader, picture in read(f"{tag}.mp4"):
        seen = np.array([picture[100:600, 64 * k + 16 : 64 * k + 48].mean((0, 1)) for k in range(len(COATS))])
        error = np.abs(seen - COATS).max()
        print(f"{title:10} {reader:14} off by {error:4.1f}; red and green are", seen[:2].round().astype(int).tolist())
        right &= error < 4 if tag == 1 else error > 10
if not right:
    sys.exit("The behaviour has changed.")
PYTHON
