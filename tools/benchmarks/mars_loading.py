"""Measures how long MARS's reader takes and how much memory, against torchreid's.

    python tools/benchmarks/mars_loading.py path/to/MARS-evaluation/info --json mars_loading.json

Frame names are made up from the ranges of the matrices, in a temporary folder; no images are
needed. Without a folder of matrices, they are made up too, in the numbers of MARS. Every
measurement has a process of its own, in which both readers have loaded a few tracklets before;
the two readers are interleaved; shown are medians. Memory is what is added to the process while it
loads; matrices are parsed in a process of their own, which ends before the frames are listed.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.io import loadmat, savemat
from torchvision.transforms.functional import pil_to_tensor

from torchreid_occ._torchreid import torchreid
from torchreid_occ.data.datasets.video import Mars
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.memory import added_mebibytes
from torchreid_occ.utils.progress import progress

READERS = {"torchreid_occ": Mars, "torchreid": torchreid.data.datasets.video.Mars}
OPTIONS = {"transform": pil_to_tensor, "verbose": False}
# Tracklets, their frames, identities, junk.
PARTS = {"train": (8298, 61, 625, 0), "test": (12180, 56, 634, 870)}
QUERIES, CAMERAS = 1980, 6


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("info", nargs="?", type=Path, help="folder of the published .mat files")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)  # reader and folder
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    found = {reader: [] for reader in READERS}
    with tempfile.TemporaryDirectory() as folder:
        frames = make_up(Path(folder, "full"), arguments.info)
        make_up(Path(folder, "few"), None, fraction=100)
        for _ in progress(range(arguments.repeats), "loading"):
            for reader, measured in found.items():
                measured.append(in_own_process(reader, folder))
    medians = {
        reader: {key: statistics.median(one[key] for one in measured) for key in measured[0]}
        for reader, measured in found.items()
    }
    print(f"{frames:,} frames")
    for reader, median in medians.items():
        print("{}: {seconds:.2f} s, {mebibytes:.0f} MiB".format(reader, **median))
        print("  {train} train, {query} query, {gallery} gallery tracklets".format(**median))
    if arguments.json:
        options = {"info": str(arguments.info), "repeats": arguments.repeats}
        about = {"hardware": hardware(False), "versions": versions()}
        write_json(
            arguments.json,
            {"options": options, "frames": frames, "medians": medians, "measured": found, **about},
        )


def in_own_process(reader, folder):
    command = [sys.executable, __file__, "--measure", reader, folder]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(reader, folder):
    """Loads MARS once: seconds, added memory, tracklets of each subset."""
    for both in READERS.values():
        both(str(Path(folder, "few")), **OPTIONS)
    gallery = {"gallery": "torchreid"} if READERS[reader] is Mars else {}
    loaded = []

    def load():
        loaded.append(READERS[reader](str(Path(folder, "full")), **OPTIONS, **gallery))

    start = time.perf_counter()
    mebibytes = added_mebibytes(load)
    seconds = time.perf_counter() - start
    sizes = {part: len(getattr(loaded[0], part)) for part in ("train", "query", "gallery")}
    return {"seconds": seconds, "mebibytes": mebibytes, **sizes}


def make_up(root, info, fraction=1):
    """Writes what the readers need of MARS; returns how many frames it has."""
    ours = root / "mars" / "info"
    for folder in ("info", "bbox_train", "bbox_test"):
        (root / "mars" / folder).mkdir(parents=True)
    frames = 0
    for part, sizes in PARTS.items():
        file = ours / f"tracks_{part}_info.mat"
        if info:
            shutil.copyfile(info / file.name, file)
        else:
            savemat(file, {f"track_{part}_info": draw_rows(*sizes, fraction)})
        rows = loadmat(file)[f"track_{part}_info"]
        (ours / f"{part}_name.txt").write_text("\n".join(frame_names(rows)) + "\n")
        frames += int(rows[-1, 1])
    if info:
        shutil.copyfile(info / "query_IDX.mat", ours / "query_IDX.mat")
    else:
        first = PARTS["test"][3] // fraction
        queries = np.arange(QUERIES // fraction)[None] + first + 1
        savemat(ours / "query_IDX.mat", {"query_IDX": queries.astype(np.uint16)})
    return frames


def draw_rows(tracklets, length, identities, junk, fraction):
    """Rows [start, end, pid, camera] of tracklets of equal length, junk first."""
    tracklets, junk = tracklets // fraction, junk // fraction
    start = np.arange(tracklets) * length + 1
    pids = np.concatenate([np.full(junk, -1), np.arange(tracklets - junk) * identities])
    pids[junk:] = pids[junk:] // (tracklets - junk) + 1
    cameras = np.arange(tracklets) % CAMERAS + 1
    return np.stack([start, start + length - 1, pids, cameras], 1).astype(np.int32)


def frame_names(rows):
    """File names of the frames of rows [start, end, pid, camera]."""
    for tracklet, (start, end, pid, camera) in enumerate(rows.tolist()):
        person = "00-1" if pid == -1 else f"{pid:04d}"
        for frame in range(1, end - start + 2):
            yield f"{person}C{camera}T{tracklet % 10000:04d}F{frame:03d}.jpg"


if __name__ == "__main__":
    main()
