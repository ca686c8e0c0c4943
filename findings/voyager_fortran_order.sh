#!/usr/bin/env bash
# Features in Fortran order, as scipy.io.loadmat returns them, added to an index of voyager.
#
# Guess: the rows are what a row of the array is, in any memory order; numpy hides it.
# Seen: Index.add_items reads the memory row by row whatever the strides are, so other vectors are
#   stored than the rows given, without an error. Index.query reads its queries in the same way:
#   a self-query with the same array finds itself at distance 0 and hides the fault; a query by a
#   single row, which is copied right, finds others.
# Fails if the stored vectors are the rows, or if the array is refused.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check voyager==2.2.3 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import voyager

print("voyager", version("voyager"), "numpy", np.__version__)
random = np.random.default_rng(0)
features = random.standard_normal((100, 16)).astype(np.float32)


def check(array):
    """Returns the largest error of a stored vector, and the numbers of rows found."""
    index = voyager.Index(voyager.Space.Euclidean, num_dimensions=16)
    ids = index.add_items(array)
    stored = np.array([index.get_vector(number) for number in ids])
    batch, _ = index.query(array, k=1)
    single = [index.query(np.array(row), k=1)[0][0] for row in array]
    return (
        float(np.abs(stored - array).max()),
        int((batch[:, 0] == np.array(ids)).sum()),
        int((np.array(single) == np.array(ids)).sum()),
    )


results = {}
for name, array in (("C", features), ("Fortran", np.asfortranarray(features))):
    try:
        results[name] = check(array)
    except Exception as error:
        sys.exit(f"The behaviour has changed: order {name} gives {error!r}")
    error, batch, single = results[name]
    print(f"order {name}: largest error of a stored value {error:.3f}; of 100 rows, {batch} find "
          f"themselves asked at once, {single} asked one by one")
if results["C"] != (0.0, 100, 100) or results["Fortran"][0] == 0 or results["Fortran"][2] > 50:
    sys.exit("The behaviour has changed.")
PYTHON
