#!/usr/bin/env bash
# A person's crop, cut out of a frame by slicing (frame[top:bottom, left:right]), given to ncnn.
#
# Guess: Mat.from_pixels and Mat.from_pixels_resize take the pixels of the crop, as cv2, ONNX Runtime and OpenVINO do; a
#   slice that they can't read is refused.
# Seen: they read the memory of the frame on from the crop's first pixel, whatever the slice says: of a crop of 64x32 in
#   a frame of 160 columns they take 13 rows of the frame, so a fifth of the pixels are the crop's and the others are
#   what lies beside the person, without an error. np.ascontiguousarray(crop), or the stride as the fifth argument of
#   from_pixels, helps. A crop that OpenCV resized is an array of its own, and right.
# Fails if a crop by slicing is read right, or refused, or if its copy is read wrong.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check ncnn==1.0.20261020 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import ncnn
import numpy as np

print("ncnn", version("ncnn"), "numpy", np.__version__)
HEIGHT, WIDTH = 64, 32  # of the crop
frame = np.full((120, 160, 3), 60, np.uint8)
frame[20:84, 30:62] = (40, 40, 200)  # a person in red, in OpenCV's order of channels
frame[20:84, 90:122] = (200, 60, 40)  # another in blue
crop = frame[20:84, 30:62]
kind = ncnn.Mat.PixelType.PIXEL_BGR


def share(mat):
    """Share of the pixels that are those of the crop."""
    same = np.array(mat).astype(int) == crop.transpose(2, 0, 1)
    return same.all(0).mean()


seen = {
    "from_pixels, slice": share(ncnn.Mat.from_pixels(crop, kind, WIDTH, HEIGHT)),
    "from_pixels_resize, slice": share(
        ncnn.Mat.from_pixels_resize(crop, kind, WIDTH, HEIGHT, WIDTH, HEIGHT)
    ),
    "from_pixels, slice and stride": share(
        ncnn.Mat.from_pixels(crop, kind, WIDTH, HEIGHT, crop.strides[0])
    ),
    "from_pixels, copy": share(
        ncnn.Mat.from_pixels(np.ascontiguousarray(crop), kind, WIDTH, HEIGHT)
    ),
}
for name, right in seen.items():
    print(f"{name}: {right:.0%} of the pixels are the crop's")
wrong, right = [*seen.values()][:2], [*seen.values()][2:]
sys.exit("The behaviour has changed." if max(wrong) > 0.5 or min(right) < 1 else 0)
PYTHON
