#!/usr/bin/env bash
# Features that are removed from an index of NGT, as of people whose data are erased, and others that are inserted
# later.
#
# Guess: an id is given once, counting upwards, so that a table of names beside the index stays right, and what asks
#   for an erased id finds nothing.
# Seen: the ids of removed features go to the next ones that are inserted, also after the index was saved and opened
#   again. A table that still lists an erased person, such as one in a copy, names them for somebody else.
#   batch_insert does not return the ids, which are no range after a removal.
# Fails if an id is given again neither at once nor after opening.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check ngt==2.8.0.post1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import ngtpy
import numpy as np

print("ngt", version("ngt"))
rng = np.random.default_rng(0)
features = rng.normal(size=(100, 32)).astype(np.float32)
late = rng.normal(size=(6, 32)).astype(np.float32)
ngtpy.create(b"gallery", 32, distance_type="Cosine")
index = ngtpy.Index(b"gallery")
index.batch_insert(features, num_threads=1)
removed = [5, 50, 99]
for number in removed:
    index.remove(number)
given = [index.insert(feature) for feature in late[:4]]
index.build_index(num_threads=1)
print("removed:", removed, "given to the next four:", given)
print("nearest to the first of them:", index.search(late[0], 1)[0][0])
index.remove(10)
index.save()
index.close()
index = ngtpy.Index(b"gallery")
again = [index.insert(feature) for feature in late[4:]]
print("removed before saving: 10, given after opening:", again)
index.close()
if not set(given) & {*removed} and 10 not in again:
    sys.exit("The behaviour has changed.")
PYTHON
