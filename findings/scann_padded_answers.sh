#!/usr/bin/env bash
# Searches of many queries at once by ScaNN, which ask for more neighbours than it has candidates.
#
# Guess: rows are filled up with an id that none has, as FAISS does with -1, or the search is refused.
# Seen: search_batched fills them up with id 0 and the distance NaN, so that the first person of the gallery is in
#   every answer: 10 times where 30 of 20 are asked for, and 200 times where a tree with re-ordering keeps 100
#   candidates and 300 of 5,000 are asked for. The ids alone do not show it. A single query (search) returns fewer.
# Fails if the filling is no longer 0, or if a single search is filled up, too.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check scann==1.4.2 numpy==2.2.6
cd "$work"
venv/bin/python - 2> log <<'PYTHON' || { cat log >&2; exit 1; }
import sys
from importlib.metadata import version

import numpy as np
import scann

print("scann", version("scann"))
rng = np.random.default_rng(0)
features = rng.normal(size=(5000, 64)).astype(np.float32)
features /= np.linalg.norm(features, axis=1, keepdims=True)
queries = features[1:21]


def exact(gallery):
    return scann.scann_ops_pybind.builder(gallery, 10, "dot_product").score_brute_force().build()


def tree(gallery):
    builder = scann.scann_ops_pybind.builder(gallery, 10, "dot_product")
    builder = builder.tree(num_leaves=50, num_leaves_to_search=50, training_sample_size=5000)
    return builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()


changed = False
for build, size, asked in ((exact, 20, 30), (tree, 5000, 300)):
    searcher = build(features[:size])
    ids, distances = searcher.search_batched(queries, final_num_neighbors=asked)
    filled = np.isnan(distances).sum(axis=1)
    print(f"{build.__name__}, {asked} of {size:,} asked for: id 0 comes {(ids == 0).sum(axis=1).min()} to "
          f"{(ids == 0).sum(axis=1).max()} times in an answer, with NaN {filled.min()} to {filled.max()} times; "
          f"a single search gives {len(searcher.search(queries[0], final_num_neighbors=asked)[0])}")
    changed |= (ids[np.isnan(distances)] != 0).any() or filled.min() == 0
    changed |= len(searcher.search(queries[0], final_num_neighbors=asked)[0]) == asked
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
