#!/usr/bin/env bash
# Person crops resized to 256x128 by the same call in Pillow 12 and 13.
#
# Guess: Image.resize gives the same pixels, so that hashes of resized frames and features of a gallery stay
#   comparable.
# Seen: where the height loses more than twice as many pixels as the width, Pillow 13 resizes columns after rows, not
#   before, with rounding and clipping to 8 bits between. Of a coat with fine checks in a crop of 90x300 (as of HD
#   footage) values change by up to 35 of 255 by LANCZOS, 21 by BICUBIC, 1 by BILINEAR; of a crop of 160x300, which loses
#   32 columns and 44 rows, and of one that is enlarged, none. Resized in two calls, first to the new width, then to
#   the new height, all crops are in both versions as in Pillow 12.
# Fails if versions agree on the first crop, or differ on another one or in two calls.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 12.3.0 13.0.0; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/python" -m pip install -qq --disable-pip-version-check \
        "pillow==$version" numpy==2.2.6
done
cat > "$work/resize.py" <<'PYTHON'
import sys

import numpy as np
from PIL import Image

SIZES = (90, 300), (160, 300), (60, 150)
made = {}
for width, height in SIZES:
    y, x = np.mgrid[:height, :width]
    coat = (y // 2 + x // 2) % 2 * 230 + 10 + 5 * np.sin(y / 9)
    crop = Image.fromarray(np.stack([coat, coat, 255 - coat], 2).astype(np.uint8))
    for name in ("BILINEAR", "BICUBIC", "LANCZOS"):
        filter = Image.Resampling[name]
        made[f"{width}x{height} {name}"] = np.asarray(crop.resize((128, 256), filter))
        by_turns = crop.resize((128, height), filter).resize((128, 256), filter)
        made[f"{width}x{height} {name} in two calls"] = np.asarray(by_turns)
np.savez(sys.argv[1], **made)
PYTHON
for version in 12.3.0 13.0.0; do
    "$work/$version/bin/python" "$work/resize.py" "$work/$version.npz"
done
cd "$work"
13.0.0/bin/python - <<'PYTHON'
import sys

import numpy as np

old, new = (np.load(f"{version}.npz") for version in ("12.3.0", "13.0.0"))
most = {name: int(np.abs(old[name].astype(int) - new[name]).max()) for name in old}
for name, difference in most.items():
    print(f"{name}: {difference}")
first = ["90x300 BILINEAR", "90x300 BICUBIC", "90x300 LANCZOS"]
others = [name for name in most if name not in first]
same = all(most[name] > 0 for name in first) and not any(most[name] for name in others)
same &= all(
    np.array_equal(old[name], old[f"{name} in two calls"]) for name in old if "two" not in name
)
sys.exit(0 if same else "The behaviour has changed.")
PYTHON
