#!/usr/bin/env bash
# A search that asks Milvus Lite for one answer per person (group_by_field), where one person has many features.
#
# Guess: limit counts groups, as documented: limit=10 gives the 10 nearest people, if there are 10, from an exact
#   index (FLAT) above all.
# Seen: ten features for each person asked for are taken by distance, and only then grouped. Of 51 people, of
#   whom the nearest has 1,000 features, a search returns that one alone, for group_size 1 and 3, with
#   strict_group_size too: a person who stood in view for long hides everybody else. With a filter that leaves
#   that person out, 10 come.
# Fails if 10 people come without the filter, or fewer with it.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    milvus-lite==3.2.2 pymilvus==3.0.2 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pymilvus import DataType, MilvusClient

print("milvus-lite", version("milvus-lite"), "pymilvus", version("pymilvus"))
LENGTH, REPEATS, OTHERS = 32, 1000, 50
rng = np.random.default_rng(0)
query = rng.normal(size=LENGTH)
features = rng.normal(size=(REPEATS + 40 * OTHERS, LENGTH))
features[:REPEATS] = query + 0.05 * features[:REPEATS]
pids = np.concatenate([np.zeros(REPEATS, int), 1 + np.arange(40 * OTHERS) % OTHERS])

client = MilvusClient("gallery.db")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("feature", DataType.FLOAT_VECTOR, dim=LENGTH)
schema.add_field("pid", DataType.INT64)
index = client.prepare_index_params()
index.add_index("feature", index_type="FLAT", metric_type="COSINE")
client.create_collection("gallery", schema=schema, index_params=index)
rows = zip(features.tolist(), pids.tolist(), strict=True)
client.insert(
    "gallery", [{"id": i, "feature": row, "pid": pid} for i, (row, pid) in enumerate(rows)]
)


def people(**options):
    answers = client.search(
        "gallery", [query.tolist()], limit=10, group_by_field="pid", output_fields=["pid"], **options
    )
    return {answer["entity"]["pid"] for answer in answers[0]}


found = {
    "limit 10": people(),
    "three of each": people(group_size=3),
    "strict": people(group_size=3, strict_group_size=True),
    "without the nearest": people(filter="pid > 0"),
}
for search, pids in found.items():
    print(f"{search}: {len(pids)} people of {OTHERS + 1}")
counts = [len(pids) for pids in found.values()]
sys.exit("The behaviour has changed." if counts != [1, 1, 1, 10] else 0)
PYTHON
