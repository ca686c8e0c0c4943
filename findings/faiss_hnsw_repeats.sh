#!/usr/bin/env bash
# An HNSW graph of FAISS in which one vector occurs many times.
#
# Guess: repeats cost time at most. When the search is broad (efSearch 512 for 3,000 vectors), a
#   stored vector that is asked for finds itself as surely with repeats in the index as without.
# Seen: with 600 equal vectors among 3,000, dozens of 500 others are no longer found by their own
#   vector, although they are at distance 0. The equal ones fill each other's lists of neighbours,
#   which cuts paths to the others. With the repeats stored once, nearly all are found.
# Fails if fewer than 20 of the 500 are lost, or if more than 5 are lost without repeats.
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

DIM, COUNT, EQUAL, ASKED = 64, 3000, 600, 500

print("faiss", faiss.__version__, "numpy", np.__version__)
faiss.omp_set_num_threads(1)  # the same graph in each run
random = np.random.default_rng(0)
vectors = random.standard_normal((COUNT, DIM)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
order = random.permutation(COUNT)


def lost(stored, queries):
    """Counts the queries that are stored and not among their own ten nearest."""
    index = faiss.IndexHNSWFlat(DIM, 16)
    index.hnsw.efSearch = 512
    index.add(stored)
    distances, _ = index.search(queries, 10)
    return int((distances[:, 0] > 1e-3).sum())


queries = vectors[-ASKED:]
repeated = vectors.copy()
repeated[:EQUAL] = repeated[0]
once = repeated[EQUAL - 1 :]
plain = lost(vectors[order], queries)
with_repeats = lost(repeated[order], queries)
stored_once = lost(once[random.permutation(len(once))], queries)
print(f"{COUNT} different vectors: {plain} of {ASKED} do not find themselves")
print(f"{EQUAL} of them equal: {with_repeats} of {ASKED} others do not find themselves")
print(f"equal ones stored once: {stored_once} of {ASKED} do not find themselves")
if max(plain, stored_once) > 5 or with_repeats < 20:
    sys.exit("The behaviour has changed.")
PYTHON
