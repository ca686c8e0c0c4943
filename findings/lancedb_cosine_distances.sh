#!/usr/bin/env bash
# Cosine distances of LanceDB before and after an index is built.
#
# Guess: an index changes which rows are found, at most, and quantisation adds an error of a few
#   per cent; the column _distance stays the cosine distance.
# Seen: with the quantised kinds (IvfPq, the default, and HnswSq) the distances of the same rows
#   are twice as large: that is the squared Euclidean distance of the unit vectors. Without
#   quantisation (IvfFlat), or with a refine factor, they are right. A threshold that was chosen
#   before the index was built, or on a small table without one, cuts off half of what it took.
# Fails if the medians of the ratios are not near 2 and 1.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check lancedb==0.40.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import lancedb
import numpy as np
from lancedb.index import HnswSq, IvfFlat, IvfPq

print("lancedb", version("lancedb"), "numpy", np.__version__)
random = np.random.default_rng(0)
centres = np.repeat(random.standard_normal((500, 64)), 10, axis=0)  # 500 people, 10 tracklets each
features = (centres + random.normal(scale=0.5, size=centres.shape)).astype(np.float32)
features /= np.linalg.norm(features, axis=1, keepdims=True)
table = lancedb.connect("database").create_table(
    "tracklets", [{"id": number, "vector": row} for number, row in enumerate(features)]
)


def ratio(refine=None):
    """Returns the median ratio of _distance to the cosine distance for each query's 2nd to 10th."""
    ratios = []
    for number in range(0, 400, 10):
        search = table.search(features[number]).distance_type("cosine").nprobes(1000).limit(10)
        found = (search.refine_factor(refine) if refine else search).to_arrow()
        expected = 1 - features[found["id"].to_numpy()] @ features[number]
        ratios.extend((found["_distance"].to_numpy() / np.maximum(expected, 1e-6))[1:])
    return round(float(np.median(ratios)), 3)


seen = {"no index": ratio()}
for kind in (IvfPq, HnswSq, IvfFlat):
    table.create_index("vector", config=kind(distance_type="cosine"), replace=True)
    seen[kind.__name__] = ratio()
    seen[f"{kind.__name__}, refined"] = ratio(refine=1)
for name, value in seen.items():
    print(f"{name}: _distance is {value} times the cosine distance")
doubled = [name for name, value in seen.items() if 1.8 < value < 2.2]
right = [name for name, value in seen.items() if 0.99 < value < 1.01]
if doubled != ["IvfPq", "HnswSq"] or len(right) != 5:
    sys.exit("The behaviour has changed.")
PYTHON
