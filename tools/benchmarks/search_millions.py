"""Measures a gallery of kind 'codes' at ten million tracklets beside FAISS's exact flat index.

    python tools/benchmarks/search_millions.py model.pth.tar-8 --gallery big --json big.json

Tracklets are drawn as search.py draws them, ten of each person, and added to a gallery on disk,
which a repeated call completes. Then, in one process: its index is built and written; queries are
answered; they are answered again while another process adds and removes tracklets; and the flat
index answers the same queries. Times of queries are wall clock times. Recall is the share of the
flat index's nearest ten that the gallery finds.
"""

import argparse
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
from search import TOP, TRACKLETS_OF_ONE, Clusters, real_features, recall

from torchreid_occ import TrackletExtractor
from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.search.faiss_library import faiss
from torchreid_occ.search.protocol import unit_features
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.progress import progress

HASH, BLOCK, SHARD = "benchmark", 10_000, 1_000_000
CHANGES, CHANGED = 20, 500  # times that the other process adds, and removes, so many


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--root", default="reid-data", metavar="DIR")
    parser.add_argument("--source", default="occwalk_small", metavar="NAME")
    parser.add_argument("--count", type=int, default=10_000_000, metavar="N", help="of tracklets")
    parser.add_argument("--queries", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--gallery", required=True, metavar="DIR", help="made if it is not there")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    extractor = TrackletExtractor(arguments.checkpoint)
    people = Clusters(*real_features(extractor, arguments))
    rng = np.random.default_rng(arguments.seed)
    known = people.people(arguments.queries, rng)  # whom the first tracklets and the queries show
    queries = people.tracklets(known, rng)
    gallery = Gallery.create(arguments.gallery, HASH, extractor.feature_dim, "codes")
    fill(gallery, arguments, people, known)
    numbers = {}

    def note(**measured):
        for name, value in measured.items():
            print(f"{name.replace('_', ' ')}: {value}", flush=True)
        numbers.update(measured)

    note(tracklets=len(gallery), feature_dim=extractor.feature_dim, **build(gallery))
    found, milliseconds = search(gallery, queries)
    note(query=milliseconds)
    note(query_while_it_changes=search_while_changing(gallery, queries, people))
    exact, milliseconds = search_flat(gallery, queries)
    note(query_of_the_flat_index=milliseconds)
    note(**{f"recall@{top}": recall(found, exact, top) for top in (1, TOP)})
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions()}
        options = {**vars(arguments), "checkpoint": str(arguments.checkpoint)}
        write_json(arguments.json, {"options": options, "measured": numbers, **about})


def fill(gallery, arguments, people, known):
    """Adds what is missing, in blocks that do not depend on each other."""
    for start in progress(range(len(gallery), arguments.count, BLOCK), "adding", unit="block"):
        numbers = range(start, min(start + BLOCK, arguments.count))
        rng = np.random.default_rng([arguments.seed, start])
        centres = people.people(-(-len(numbers) // TRACKLETS_OF_ONE), rng)
        if start == 0:
            centres[: len(known)] = known
        features = people.tracklets(np.repeat(centres, TRACKLETS_OF_ONE, 0)[: len(numbers)], rng)
        gallery.add([tracklet(number) for number in numbers], features, HASH)


def tracklet(number):
    return GalleryTracklet(f"{number:08d}", (f"/people/{number:08d}/0001.jpg",), number % 10)


def build(gallery):
    """Builds and writes the index, unless it is written; seconds and sizes."""
    before, begin = resident(), time.perf_counter()
    written = list(Path(gallery.address).glob("index-*.faiss"))
    gallery.save_index()
    seconds = time.perf_counter() - begin
    (file,) = Path(gallery.address).glob("index-*.faiss")
    return {
        "build": None if written else f"{seconds:.0f} s",
        "index_on_disk": f"{file.stat().st_size / 2**30:.2f} GiB",
        "index_in_memory": f"{(resident() - before) / 2**30:.2f} GiB",
    }


def search(gallery, queries):
    """Ids of the nearest to each query, and the milliseconds of a query."""
    ids, seconds = [], []
    for query in queries:
        begin = time.perf_counter()
        matches = gallery.search(query, HASH, TOP)
        seconds.append(time.perf_counter() - begin)
        ids.append(np.array([match.id for match in matches]))
    return ids, summary(seconds)


def search_while_changing(gallery, queries, people):
    """Milliseconds of queries while another process changes the gallery, and what it changed."""
    context = multiprocessing.get_context("spawn")
    rng = np.random.default_rng(1)
    features = people.tracklets(people.people(CHANGES * CHANGED, rng), rng)
    # Far from all others, so that each is its own query's first.
    features[:, 0] += 5 * np.abs(features).max()
    process = context.Process(target=change, args=(gallery.address, features))
    process.start()
    seconds, place = [], 0
    while process.is_alive():
        begin = time.perf_counter()
        gallery.search(queries[place % len(queries)], HASH, TOP)
        seconds.append(time.perf_counter() - begin)
        place += 1
    if process.exitcode:
        raise SystemExit("The process that changes the gallery failed.")
    # It removed the first half of what it added.
    half = len(features) // 2
    found = [gallery.search(feature, HASH, 1)[0] for feature in features[half : half + 50]]
    gone = [gallery.search(feature, HASH, 1)[0] for feature in features[:50]]
    right = sum(one.distance < 1e-5 for one in found) + sum(one.distance > 1e-5 for one in gone)
    return f"{summary(seconds)}, {len(seconds)} queries; {right} of 100 checks of the changes right"


def change(place, features):
    """Adds tracklets of new names, and removes half of them, in turns."""
    gallery, added = Gallery(place), []
    first = int(gallery.ids()[-1])
    for start in range(0, len(features), CHANGED):
        numbers = range(first + start, first + start + CHANGED)
        tracklets = [GalleryTracklet(f"new {n}", (f"/new/{n}.jpg",)) for n in numbers]
        added += gallery.add(tracklets, features[start : start + CHANGED], HASH)
        half = len(features) // 2
        gallery.remove(added[:half][start // 2 : start // 2 + CHANGED // 2])
        time.sleep(0.5)


def search_flat(gallery, queries):
    """Ids of the nearest by FAISS's flat index, and milliseconds of a query.

    It is held in shards, one at a time, as all would take 10 GiB; a query's time is that in all.
    """
    seconds = np.zeros(len(queries))
    best = [(np.empty(0), np.empty(0, np.int64))] * len(queries)
    for ids, features in shards(gallery):
        flat = faiss().IndexFlatIP(features.shape[1])
        flat.add(unit_features(features))
        for place, query in enumerate(unit_features(queries)):
            begin = time.perf_counter()
            (scores,), (rows,) = flat.search(query[None], TOP)
            seconds[place] += time.perf_counter() - begin
            scores = np.concatenate([best[place][0], scores])
            order = np.argsort(-scores, kind="stable")[:TOP]
            best[place] = scores[order], np.concatenate([best[place][1], ids[rows]])[order]
    return [nearest for _, nearest in best], summary(seconds)


def shards(gallery):
    """Yields ids and features of a million tracklets at a time."""
    held = []
    for block in gallery._store.features_after(0):
        held.append(block)
        if sum(len(ids) for ids, _ in held) >= SHARD:
            yield tuple(map(np.concatenate, zip(*held, strict=True)))
            held = []
    if held:
        yield tuple(map(np.concatenate, zip(*held, strict=True)))


def summary(seconds):
    middle, most = np.percentile(np.array(seconds) * 1000, (50, 95))
    return f"{middle:.1f} ms in the median, {most:.1f} in 19 of 20"


def resident():
    """Bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
