#!/usr/bin/env bash
# Pixels of warped frames in OpenCV 4 and 5, such as of crops that are straightened or moved by parts
# of a pixel.
#
# Guess: the same call gives the same pixels in both, as it does for resizing and colour conversion;
#   INTER_NEAREST_EXACT, which is documented as bit-exact, above all.
# Seen: resized frames (linear, area, cubic) and converted colours are equal. A fifth of the values
#   that warpAffine gives and a quarter of remap's differ, by up to 5 of 255, as OpenCV 5 no longer
#   rounds positions to a 32nd of a pixel. INTER_NEAREST_EXACT takes other pixels, too.
# Fails if warps or INTER_NEAREST_EXACT agree, or if resized frames differ.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > warp.py <<'PYTHON'
import sys

import cv2
import numpy as np

rng = np.random.default_rng(0)
blocks = np.kron(rng.integers(40, 216, (24, 12, 3)), np.ones((8, 8, 1)))
frame = (blocks + rng.integers(-20, 21, blocks.shape)).astype(np.uint8)
columns, rows = np.meshgrid(np.arange(96, dtype=np.float32), np.arange(192, dtype=np.float32))
turn = np.float32([[1.1, 0.1, -3], [-0.05, 0.9, 4]])
np.savez(
    sys.argv[1],
    resized_linear=cv2.resize(frame, (64, 128), interpolation=cv2.INTER_LINEAR),
    resized_area=cv2.resize(frame, (64, 128), interpolation=cv2.INTER_AREA),
    resized_cubic=cv2.resize(frame, (128, 256), interpolation=cv2.INTER_CUBIC),
    resized_nearest_exact=cv2.resize(frame, (33, 71), interpolation=cv2.INTER_NEAREST_EXACT),
    hsv=cv2.cvtColor(frame, cv2.COLOR_BGR2HSV),
    warp_affine=cv2.warpAffine(frame, turn, (96, 192)),
    remap=cv2.remap(frame, columns + 0.3, rows - 0.2, cv2.INTER_LINEAR),
)
PYTHON
for version in 4.14.0.94 5.0.0.93; do
    python3 -m venv "opencv-$version"
    "opencv-$version/bin/python" -m pip install -qq --disable-pip-version-check \
        "opencv-python-headless==$version" numpy==2.4.6
    "opencv-$version/bin/python" warp.py "$version.npz"
done
"opencv-5.0.0.93/bin/python" - <<'PYTHON'
import sys

import numpy as np

print("OpenCV 4.14.0.94 and 5.0.0.93")
old, new = np.load("4.14.0.94.npz"), np.load("5.0.0.93.npz")
differ = set()
for name in old:
    gap = np.abs(old[name].astype(int) - new[name].astype(int))
    print(f"{name}: {(gap > 0).mean():.1%} of the values differ, by up to {gap.max()}")
    if gap.any():
        differ.add(name)
if differ != {"resized_nearest_exact", "warp_affine", "remap"}:
    sys.exit("The behaviour has changed.")
PYTHON
