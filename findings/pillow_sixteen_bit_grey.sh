#!/usr/bin/env bash
# A 16-bit grey picture, as thermal cameras write it, converted by Pillow.
#
# Guess: Image.convert("L") or ("RGB") scales 0..65535 to 0..255, or keeps the upper eight bits, as
#   OpenCV does when it reads the file in colour.
# Seen: Pillow cuts every value off at 255. A thermal picture, whose values lie in the thousands, is
#   white all over, without an error: each person in it gets the same feature.
# Fails if Pillow keeps more than one value, or if OpenCV does not keep the upper bits.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
  pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np
import PIL
from PIL import Image

print("Pillow", PIL.__version__, "OpenCV", cv2.__version__, "numpy", np.__version__)
# A warm shape before a cool ground, in hundredths of a kelvin.
rows, columns = np.mgrid[:128, :64]
warmth = np.exp(-(((rows - 64) / 40) ** 2) - ((columns - 32) / 12) ** 2)
thermal = (29000 + 2500 * warmth).astype(np.uint16)
Image.fromarray(thermal).save("thermal.png")

image = Image.open("thermal.png")
print("file:", image.mode, thermal.min(), "to", thermal.max())
seen = {mode: np.unique(np.asarray(image.convert(mode))).tolist() for mode in ("L", "RGB")}
for mode, values in seen.items():
    print(f"Pillow, convert({mode!r}): values {values[:6]}")
colour = cv2.imread("thermal.png")
print("OpenCV, imread: values", np.unique(colour).tolist()[:12])
upper = np.array_equal(colour[..., 0], thermal >> 8)
rounded = np.abs(colour[..., 0] - thermal / 257).max() <= 1
if seen != {"L": [255], "RGB": [255]} or not (upper or rounded):
    sys.exit("The behaviour has changed.")
PYTHON
