#!/usr/bin/env bash
# USearch's indexes of 8-bit integers, where the metric is an inner product or a squared distance.
#
# Guess: an index of dtype "i8" quantises features coarsely, so its distances are those of a float32
#   index with a small error, and it finds nearly the same neighbours.
# Seen: each vector is scaled to length 127 first, so lengths are gone. With "ip" and "l2sq" an index
#   ranks by angle alone, finds the float32 index's neighbour for a part of the queries, and gives
#   distances in units of about 127 squared: a vector and its double are at 0 from each other.
# Fails if a vector's length matters to an "i8" index.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check usearch==2.26.6 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import usearch
from usearch.index import Index

print("usearch", usearch.__version__, "numpy", np.__version__)
rng = np.random.default_rng(0)
# Features as networks with a ReLU give them: not negative, lengths from 15 to 80.
people = np.maximum(rng.normal(size=(300, 256)), 0) * rng.uniform(1.5, 6, size=(300, 1))
noise = 0.3 * np.abs(rng.normal(size=(2, 300, 256)))
gallery, query = (people + noise).astype(np.float32)
changed = False
for metric in ("ip", "l2sq"):
    found = {}
    for dtype in ("f32", "i8"):
        index = Index(ndim=256, metric=metric, dtype=dtype)
        index.add(np.arange(300), gallery)
        found[dtype] = index.search(query, 1).keys.ravel()
        distances = []
        for factor in (1, 2, 4):
            one = Index(ndim=256, metric=metric, dtype=dtype)
            one.add(0, factor * gallery[0])
            distances.append(float(one.search(gallery[0], 1).distances[0]))
        print(f"{metric} {dtype}: from a vector to itself, twice and four times it:", np.round(distances, 1))
        if dtype == "i8":
            same = np.mean(found["i8"] == found["f32"])
            print(f"{metric}: i8 finds the float32 index's nearest vector for {same:.0%} of the queries")
            changed |= len(set(distances)) > 1
if changed:
    sys.exit("The behaviour has changed.")
PYTHON
