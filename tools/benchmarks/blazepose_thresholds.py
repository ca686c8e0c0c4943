"""Chooses BlazePose's thresholds on training people of OccWalk, whose lines and masks are known.

python tools/benchmarks/blazepose_thresholds.py --root reid-data --splits 1 2 3

Prints, for steps of the presence, how well masks and lines fit the truth, and for several
thresholds of visibility how many lines are found and how far they are off.
"""

import argparse
import itertools
from typing import NamedTuple

import numpy as np

from torchreid_occ.annotate.blazepose import COCO_POINTS, BlazePose
from torchreid_occ.annotate.blazepose_weights import blazepose_file
from torchreid_occ.annotate.lines import four_lines
from torchreid_occ.data.images import read_image
from torchreid_occ.data.poses import Pose
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.utils.progress import progress

PRESENCES = (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.001)
VISIBILITIES = (0, 0.1, 0.3, 0.5, 0.7, 0.9)
STEP = 2  # of the frames, every second one is taken


class Seen(NamedTuple):
    """A frame: its pose, true lines, and the overlap of the mask with the true one."""

    pose: Pose
    truth: np.ndarray
    overlap: float


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", default="reid-data")
    parser.add_argument("--splits", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    network = BlazePose(blazepose_file())
    frames = []
    for split in arguments.splits:
        dataset = load_dataset("occwalk_tiny", arguments.root, split)
        truth = dataset.supervision()
        paths = [path for item in tracklets_of(dataset)["train"] for path in item[0][::STEP]]
        frames += [look(network, path, truth) for path in progress(paths, "frames", unit="frame")]
    presence = np.array([frame.pose.presence for frame in frames])
    print(f"{len(frames)} frames; errors in percent of the height or width, median and 90 %")
    for low, high in itertools.pairwise(PRESENCES):
        part = [frames[i] for i in np.flatnonzero((presence >= low) & (presence < high))]
        if part:
            overlaps = [frame.overlap for frame in part]
            print(f"presence {low} to {min(1, high)}: {len(part)} frames, overlap "
                  f"{100 * np.median(overlaps):.0f} %, {errors(part, 0.3)}")  # fmt: skip
    kept = [frame for frame in frames if frame.pose.presence >= 0.3]
    for visibility in VISIBILITIES:
        print(f"presence from 0.3, visibility from {visibility}: {errors(kept, visibility)}")


def look(network, path, truth):
    pose = network(np.asarray(read_image(path), np.uint8))
    found, true = pose.mask > 0, np.asarray(truth.foreground(path)) > 127
    overlap = (found & true).sum() / max(1, (found | true).sum())
    return Seen(pose, truth.keypoints(path), float(overlap))


def errors(frames, visibility):
    """Describes shoulder, hip and knee rows and the column: the share found, and their errors."""
    points = [frame.pose.points[list(COCO_POINTS)] for frame in frames]
    lines = np.stack([four_lines(p[:, :2], p[:, 2] >= visibility, (1, 1)) for p in points])
    off = 100 * np.abs(lines - np.stack([frame.truth for frame in frames]))
    shares = 100 * np.isfinite(off).mean(0)
    middle, worst = np.nanquantile(off, (0.5, 0.9), axis=0)
    rows = zip(shares, middle, worst, strict=True)
    return "; ".join(f"{share:.0f} % found, {one:.1f}, {ten:.1f}" for share, one, ten in rows)


if __name__ == "__main__":
    main()
