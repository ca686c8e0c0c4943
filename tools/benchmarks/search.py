"""Measures recall and latency of a gallery's indices as they grow to a million tracklets.

    python tools/benchmarks/search.py model.pth.tar-16 --root reid-data --json search.json

People and their tracklets are drawn from normal distributions: the former's has the mean and the
covariance of real identities' centres, as a checkpoint sees them in a dataset, the latter's the
covariance of real tracklets about their centres. Recall is the share of the exact search's nearest
that is found. A query is one search; its time is that of the processor, so that other work does
not count.
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from torchreid_occ import TrackletExtractor
from torchreid_occ.data.frame_strip import spread_frames
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.search.index import FeatureIndex
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.progress import progress

KINDS = ("exact", "hnsw")  # search_millions.py measures the third
TRACKLETS_OF_ONE, FRAMES, BLOCK, TOP = 10, 4, 10_000, 10
COLUMNS = ("tracklets", "index", "recall@1", f"recall@{TOP}", "ms a query", "s to add", "MiB")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--root", default="reid-data", metavar="DIR")
    parser.add_argument("--source", default="occwalk_small", metavar="NAME")
    parser.add_argument(
        "--counts", nargs="+", type=int, default=[100_000, 300_000, 1_000_000], metavar="N",
        help="of tracklets, growing",
    )  # fmt: skip
    parser.add_argument("--queries", type=int, default=200, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    extractor = TrackletExtractor(arguments.checkpoint)
    people = Clusters(*real_features(extractor, arguments))
    rng = np.random.default_rng(0)
    known = people.people(arguments.queries, rng)  # whom the first tracklets and the queries show
    queries = people.tracklets(known, rng)
    indices = {kind: FeatureIndex(kind, extractor.feature_dim) for kind in KINDS}
    seconds, measured = dict.fromkeys(KINDS, 0.0), []
    print(f"{extractor.feature_dim} values a tracklet")
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
    for held, count in pairwise([0, *arguments.counts]):
        grow(indices, range(held + 1, count + 1), people, known, rng, seconds)
        found = {kind: search(index, queries) for kind, index in indices.items()}
        for kind, (ids, milliseconds) in found.items():
            recalls = [recall(ids, found["exact"][0], top) for top in (1, TOP)]
            row = [count, kind, *recalls, milliseconds, seconds[kind], mebibytes(indices[kind])]
            measured.append(dict(zip(COLUMNS, row, strict=True)))
            print(
                "| {} | {} | {:.3f} | {:.3f} | {:.2f} | {:.0f} | {:.0f} |".format(*row), flush=True
            )
        if arguments.json:
            about = {"hardware": hardware(False), "versions": versions()}
            options = {**vars(arguments), "checkpoint": str(arguments.checkpoint)}
            numbers = {"feature_dim": extractor.feature_dim, "measured": measured}
            write_json(arguments.json, {"options": options, **numbers, **about})


def real_features(extractor, arguments):
    """Features of unit length of a dataset's query and gallery, and whose they are."""
    subsets = tracklets_of(load_dataset(arguments.source, arguments.root))
    items = subsets["query"] + subsets["gallery"]
    features = extractor([spread_frames(frames, FRAMES) for frames, *_ in items]).double().numpy()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features, np.array([pid for _, pid, *_ in items])


class Clusters:
    """Draws people and their tracklets as they are among real features.

    Args:
        features: The real features.
        pids: Whose they are.

    Shape:
        features: ``(N, D)``; pids: ``(N,)``.
    """

    def __init__(self, features, pids):
        _, own, counts = np.unique(pids, return_inverse=True, return_counts=True)
        centres = np.zeros((len(counts), features.shape[1]))
        np.add.at(centres, own, features)
        centres /= counts[:, None]
        self.mean = centres.mean(0).astype(np.float32)
        self.between = _factor(centres - centres.mean(0), len(counts) - 1)
        self.within = _factor(features - centres[own], len(features) - len(counts))

    def people(self, count, rng):
        """Centres of new people: ``(count, D)``."""
        return self.mean + self._draw(count, rng) @ self.between

    def tracklets(self, centres, rng):
        """A tracklet about each centre: ``(N, D)`` to ``(N, D)``."""
        return centres + self._draw(len(centres), rng) @ self.within

    def _draw(self, count, rng):
        return rng.standard_normal((count, len(self.mean)), np.float32)


def _factor(deviations, freedom):
    """A matrix that gives standard normal rows the covariance of deviations."""
    variances, axes = np.linalg.eigh(deviations.T @ deviations / freedom)
    return (np.sqrt(variances.clip(0))[:, None] * axes.T).astype(np.float32)


def grow(indices, ids, people, known, rng, seconds):
    """Adds drawn tracklets to all indices, those of known people first, and counts the seconds."""
    for start in progress(range(0, len(ids), BLOCK), f"growing to {ids[-1]}", unit="block"):
        own = ids[start : start + BLOCK]
        centres = people.people(-(-len(own) // TRACKLETS_OF_ONE), rng)
        if own[0] == 1:
            centres[: len(known)] = known
        features = people.tracklets(np.repeat(centres, TRACKLETS_OF_ONE, 0)[: len(own)], rng)
        for kind, index in indices.items():
            begin = time.process_time()
            index.add(np.array(own), features)
            seconds[kind] += time.process_time() - begin


def search(index, queries):
    """Ids of the nearest to each query, and the milliseconds of the middle one."""
    ids, seconds = [], []
    for query in queries:
        begin = time.process_time()
        ids.append(index.search(query, TOP)[0])
        seconds.append(time.process_time() - begin)
    return ids, 1000 * float(np.median(seconds))


def recall(found, exact, top):
    """The share of the exact search's first that are among those found."""
    pairs = zip(found, exact, strict=True)
    return float(np.mean([np.isin(right[:top], own[:top]).mean() for own, right in pairs]))


def mebibytes(index):
    """The size of an index on disk, which is about that in memory."""
    written = []
    index.write(SimpleNamespace(write=lambda data: written.append(len(data))))
    return sum(written) / 2**20


if __name__ == "__main__":
    main()
