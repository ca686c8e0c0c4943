"""People in small galleries: how many pairs are joined wrongly, and with which certainty.

    python tools/benchmarks/small_galleries.py calibration.npz test.npz --seeds 0 1 2

The files are those of `tools/benchmarks/identities.py`, and so are `--fit` and `--identities`. From
the tracklets of the second file galleries are drawn: of a random size, of a random number of people
between two and the size, in two random cameras.
"""

import argparse
import tempfile
from itertools import chain

import numpy as np
from identities import read

from torchreid_occ.calibration import fit_calibration
from torchreid_occ.identities import find_identities
from torchreid_occ.metrics import reliability
from torchreid_occ.search import Gallery, GalleryTracklet

SIZES = ((2, 5), (6, 10), (11, 20), (21, 60))
HIGH = 0.9  # certainty that a user need not look at


def drawn(tested, sizes, rng):
    """Returns a small gallery."""
    while True:
        size = int(rng.integers(sizes[0], sizes[1] + 1))
        cameras = rng.permutation(np.unique(tested.camids))[:2]
        there = np.isin(tested.camids, cameras)
        number = rng.integers(2, size + 1)
        people = rng.permutation(np.unique(tested.pids[there]))[:number]
        rows = rng.permutation(np.flatnonzero(there & np.isin(tested.pids, people)))[:size]
        if len(rows) >= sizes[0]:
            return tested.at(rows)


def people_of(part, calibration):
    """Returns the decisions (certainty, whether one person), and of all pairs the outcome."""
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery.create(folder, "", part.features.shape[1])
        gallery.add(
            [GalleryTracklet(f"t{i}", (), int(c)) for i, c in enumerate(part.camids)],
            part.features,
            "",
        )
        found = find_identities(gallery, calibration)
    person, certainty = found.person_of(), {one.number: one.certainty for one in found.people}
    labels = np.array([person[number] for number in sorted(person)])
    pairs = np.triu_indices(len(labels), 1)
    joined = (labels[:, None] == labels)[pairs]
    high = np.array([certainty[label] > HIGH for label in labels.tolist()])
    same = (part.pids[:, None] == part.pids)[pairs]
    decisions = [(d.same, part.pids[d.one - 1] == part.pids[d.other - 1]) for d in found.decisions]
    return decisions, np.stack([same, joined, joined & high[pairs[0]]], axis=1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("calibration")
    parser.add_argument("tested")
    parser.add_argument("--fit", type=float, nargs=2, default=(0, 1), metavar=("FROM", "TO"))
    parser.add_argument("--identities", type=float, nargs=2, default=(0, 1), metavar=("FROM", "TO"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--galleries", type=int, default=100, help="of each range of sizes")
    arguments = parser.parse_args()
    query, gallery, *_, cohort = read(arguments.calibration, arguments.fit)
    *_, tested, _, _ = read(arguments.tested, arguments.identities)
    calibration = fit_calibration(query, gallery, cohort, "", {})
    print("| tracklets | seed | different, joined | with over 90 % | F1 of pairs | ECE |")
    print("|---|---|---|---|---|---|")
    for sizes in SIZES:
        for seed in arguments.seeds:
            rng = np.random.default_rng(seed)
            parts = [drawn(tested, sizes, rng) for _ in range(arguments.galleries)]
            decisions, outcomes = zip(*(people_of(p, calibration) for p in parts), strict=True)
            said, right = (np.array(x) for x in zip(*chain(*decisions), strict=True))
            same, joined, high = np.concatenate(outcomes).T
            wrong, certain = joined[~same].mean(), high[~same].mean()
            f1 = 2 * (same & joined).sum() / (same.sum() + joined.sum())
            error = reliability(said, right).error
            values = " | ".join(f"{100 * value:.1f}" for value in (wrong, certain, f1, error))
            print(f"| {sizes[0]} to {sizes[1]} | {seed} | {values} |", flush=True)


if __name__ == "__main__":
    main()
