#!/usr/bin/env bash
# The exact index of FAISS, where more vectors are equally near than are asked for.
#
# Guess: of vectors with equal scores those with the lowest ids are given, in the order of ids, since the
#   index compares all of them one after another.
# Seen: asked for the 5 nearest of 3 nearer and 9 equal ones, it gives the fourth and the third of the
#   equal ones and leaves out the first and the second. A range search gives all of them.
# Fails if the lowest ids are given.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check faiss-cpu==1.15.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import faiss
import numpy as np

print("faiss", faiss.__version__, "numpy", np.__version__)
scores = [0.5, 0.5, 0.5, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.5, 0.5]
vectors = np.zeros((len(scores), 8), np.float32)
vectors[:, 0] = scores
query = np.zeros((1, 8), np.float32)
query[0, 0] = 1
index = faiss.IndexFlatIP(8)
index.add(vectors)
_, (found,) = index.search(query, 5)
expected = sorted(range(len(scores)), key=lambda number: -scores[number])[:5]
_, _, everything = index.range_search(query, 0.49)
print("by score, then by id:", expected)
print("found:               ", found.tolist())
if set(found.tolist()) == set(expected) or len(everything) != len(scores):
    sys.exit("The behaviour has changed.")
PYTHON
