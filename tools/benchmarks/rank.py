"""Measures ranking against torchreid's Python path, at the size of MARS.

    python tools/benchmarks/rank.py --json rank.json

Both take turns in one process; shown are medians. Distances are those of random features around
their identity's centre; camids are random. The numbers of both are compared, too.
"""

import argparse

import numpy as np

from torchreid_occ._torchreid import torchreid
from torchreid_occ.metrics import evaluate_rank
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.timing import median_seconds

PEOPLE, CAMERAS, CHANNELS = 626, 6, 128


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=1980, metavar="N")
    parser.add_argument("--gallery", type=int, default=9330, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    problem = draw(arguments.queries, arguments.gallery)
    ways = {
        "torchreid_occ": lambda: evaluate_rank(*problem),
        "torchreid": lambda: torchreid.metrics.evaluate_rank(*problem, use_cython=False),
    }
    (curve, precision), (their_curve, their_precision) = (run() for run in ways.values())
    same = precision == their_precision and np.array_equal(curve, their_curve)
    seconds = median_seconds(ways, arguments.repeats, "ranking")
    print(f"mAP {precision:.1%}, the numbers are {'equal' if same else 'NOT equal'}")
    for way, time in seconds.items():
        print(f"{way}: {time:.2f} s ({seconds['torchreid'] / time:.1f}x)")
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions()}
        found = {"seconds": seconds, "equal": bool(same)}
        write_json(arguments.json, {"options": vars(arguments), **found, **about})


def draw(queries, gallery):
    """Distances and labels: (distmat, q_pids, g_pids, q_camids, g_camids)."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((PEOPLE, CHANNELS), dtype=np.float32)
    pids = [rng.integers(PEOPLE, size=size) for size in (queries, gallery)]
    features = [
        centres[own] + 2.5 * rng.standard_normal((len(own), CHANNELS), dtype=np.float32)
        for own in pids
    ]
    squares = [(part**2).sum(1) for part in features]
    distmat = squares[0][:, None] + squares[1] - 2 * features[0] @ features[1].T
    camids = [rng.integers(CAMERAS, size=size) for size in (queries, gallery)]
    return distmat, *pids, *camids


if __name__ == "__main__":
    main()
