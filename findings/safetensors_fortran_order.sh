#!/usr/bin/env bash
# An array in Fortran order, as scipy.io.loadmat returns every matrix, in a safetensors file.
#
# Guess: safetensors.numpy stores the values by index, or refuses what is not contiguous, as its
#   counterpart for PyTorch does.
# Seen: it writes the bytes in the order of memory under the shape of the array. The file is sound,
#   shape and type are right, the values are at other places, and nothing warns. A slice with steps
#   fares alike: values that it skips are stored. numpy.ascontiguousarray before saving helps.
# Fails if one of these arrays comes back equal, or is refused.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
  safetensors==0.8.0 scipy==1.17.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import safetensors
import scipy.io
from safetensors.numpy import load_file, save_file

print("safetensors", safetensors.__version__, "scipy", scipy.__version__, "numpy", np.__version__)
features = np.arange(6, dtype=np.float32).reshape(2, 3)
scipy.io.savemat("features.mat", {"features": features})
read = scipy.io.loadmat("features.mat")["features"]
assert np.array_equal(read, features)
print("read by loadmat, Fortran order:", read.flags.f_contiguous, read.tolist())

arrays = {
    "fortran": read,
    "contiguous": np.ascontiguousarray(read),
    "steps": np.repeat(features, 2, axis=1)[:, ::2],
}
try:
    save_file(arrays, "features.safetensors")
except Exception as error:
    sys.exit(f"The behaviour has changed: {error!r}")
stored = load_file("features.safetensors")
same = {name: bool(np.array_equal(stored[name], features)) for name in arrays}
print("read from safetensors:", stored["fortran"].shape, stored["fortran"].tolist())
print("equal to what was saved:", same)
if same != {"fortran": False, "contiguous": True, "steps": False}:
    sys.exit("The behaviour has changed.")
PYTHON
