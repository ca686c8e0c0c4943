"""Measures ranking straight from features: seconds and memory for a gallery of a million.

    python tools/benchmarks/rank_features.py --json rank_features.json

The gallery is mapped from a temporary file. Queries are ranked in blocks, so that seconds grow with
their number while memory does not: what a hundred thousand would take follows from one block.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from torchreid_occ.metrics import rank_features
from torchreid_occ.metrics.rank_features import BLOCK
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.memory import added_mebibytes

ITEMS_OF_ONE, CAMERAS = 10, 6


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=BLOCK[0], metavar="N")
    parser.add_argument("--gallery", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--channels", type=int, default=256, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    people = max(1, arguments.gallery // ITEMS_OF_ONE)
    pids = [rng.integers(people, size=n) for n in (arguments.queries, arguments.gallery)]
    camids = [rng.integers(CAMERAS, size=len(own)) for own in pids]
    with tempfile.TemporaryDirectory() as folder:
        gallery = write_gallery(Path(folder, "gallery.npy"), arguments, rng)
        query = torch.from_numpy(rng.standard_normal((arguments.queries, arguments.channels), "f4"))
        start = time.perf_counter()
        memory = added_mebibytes(lambda: rank_features(query, gallery, *pids, *camids))
        seconds = time.perf_counter() - start
    print(f"{seconds:.1f} s, {1e3 * seconds / arguments.queries:.1f} ms a query")
    print(f"at most {memory:.0f} MiB beyond what was there before, pages of the file included")
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions()}
        numbers = {"seconds": seconds, "mebibytes": memory}
        write_json(arguments.json, {"options": vars(arguments), **numbers, **about})


def write_gallery(path, arguments, rng):
    """Random features in a file, mapped for reading."""
    shape = (arguments.gallery, arguments.channels)
    file = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    for start in range(0, arguments.gallery, BLOCK[1]):
        rows = file[start : start + BLOCK[1]]
        rows[:] = rng.standard_normal(rows.shape, "f4")
    file.flush()
    return np.load(path, mmap_mode="r")


if __name__ == "__main__":
    main()
