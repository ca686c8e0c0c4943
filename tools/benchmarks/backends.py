"""Measures what OpenVINO's precisions change on trained models: mAP and features.

    python tools/benchmarks/backends.py CHECKPOINT... --root reid-data --targets occwalk_small

The reference is PyTorch in float32. int8 is calibrated on the tracklets that a checkpoint was
trained on, and a checkpoint is tested on the split of its own training, or on others by `--splits`.
Prints, for each checkpoint, target and split, the mAP of each precision in percent, that of
float32's queries in its gallery, the mean and least cosine of its features to the reference's,
the processor time that extraction took, with the reading of frames, and which stages int8
computes. It fails if a target's mAP changes by more than 0.3 points on average, or features have a
mean cosine below 0.999. It writes stages in int8 beside the checkpoints. `OMP_NUM_THREADS=1` makes
times comparable: with more threads, waiting counts, too.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from torchreid_occ import TrackletExtractor
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.engine.evaluation import Features, distance_matrix
from torchreid_occ.metrics import evaluate_rank
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json

PRECISIONS = {
    "float32": ("torch", "float32"),
    "bfloat16": ("openvino", "bfloat16"),
    "int8": ("openvino", "int8"),
}
SUBSETS = ("query", "gallery")
LARGEST_CHANGE, LEAST_COSINE = 0.3, 0.999  # on average: points of mAP, and of features


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--root", default="reid-data", metavar="DIR")
    parser.add_argument("--targets", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--splits", nargs="+", type=int, metavar="N", help="the checkpoint's own")
    parser.add_argument(
        "--frames", type=int, default=0, metavar="N", help="of each tracklet, evenly spaced; 0: all"
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    rows = []
    for checkpoint in arguments.checkpoints:
        for row in rows_of(checkpoint, arguments):
            rows.append(row)
            print(row, flush=True)
    missed = []
    for target in arguments.targets:
        of_target = [row for row in rows if row["target"] == target]
        for name in PRECISIONS:
            print(summary(name, target, of_target))
            if misses(name, of_target):
                missed.append(f"{name} on {target}")
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions()}
        write_json(arguments.json, {"options": vars(arguments), "rows": rows, **about})
    if missed:
        sys.exit(f"Results or features change by more than is allowed: {', '.join(missed)}.")


def rows_of(checkpoint, arguments):
    """The numbers of a checkpoint for each target and split."""
    extractors = {
        name: TrackletExtractor(
            checkpoint, backend=backend, precision=precision, workers=0, use_gpu=False
        )
        for name, (backend, precision) in PRECISIONS.items()
    }
    data = extractors["float32"].config.data
    for target in arguments.targets:
        for split in arguments.splits or [data.split_id]:
            options = data.options.get(target)
            subsets = tracklets_of(load_dataset(target, arguments.root, split, options=options))
            numbers = compare(extractors, subsets, arguments.frames)
            yield {
                "checkpoint": str(Path(checkpoint)),
                "target": target,
                "split": split,
                "stages in int8": int8_stages(extractors["int8"]),
                **numbers,
            }


def int8_stages(extractor):
    """The names of the stages that are computed in int8."""
    return [name for name, precision in extractor.stages.items() if precision == "int8"]


def summary(name, target, rows):
    """What a precision changes on a target, over checkpoints and splits."""
    changes, mixed = (
        [row[name][key] - row["float32"]["mAP"] for row in rows]
        for key in ("mAP", "mAP of float32 queries")
    )
    return (
        f"{target}, {name}: mAP changes by {np.mean(changes):+.2f} points on average "
        f"(from {min(changes):+.2f} to {max(changes):+.2f}), with float32's queries by "
        f"{np.mean(mixed):+.2f}; mean cosine "
        f"{np.mean([row[name]['cosine'] for row in rows]):.5f}, least "
        f"{min(row[name]['least cosine'] for row in rows):.5f}; "
        f"{np.median([row[name]['milliseconds a frame'] for row in rows]):.2f} ms a frame"
    )


def misses(name, rows):
    """Whether a precision changes more than is allowed, on average."""
    change = np.mean([row[name]["mAP"] - row["float32"]["mAP"] for row in rows])
    cosine = np.mean([row[name]["cosine"] for row in rows])
    return abs(change) > LARGEST_CHANGE or cosine < LEAST_COSINE


def compare(extractors, subsets, frames):
    """The mAP of each precision, and how near its features are to the reference's."""
    found, reference = {}, None
    for name, extractor in extractors.items():
        start = time.process_time()
        query, gallery = (features(extractor, subsets[part], frames) for part in SUBSETS)
        seconds = time.process_time() - start
        number = sum(len(spread(paths, frames)) for part in SUBSETS for paths, *_ in subsets[part])
        reference = reference or (query, gallery)
        pairs = zip((query, gallery), reference, strict=True)
        cosines = torch.cat([F.cosine_similarity(a.features, b.features) for a, b in pairs])
        found[name] = {
            "mAP": mean_precision(query, gallery),
            "mAP of float32 queries": mean_precision(reference[0], gallery),
            "cosine": cosines.mean().item(),
            "least cosine": cosines.min().item(),
            "milliseconds a frame": 1000 * seconds / number,
        }
    return found


def mean_precision(query, gallery):
    """The mAP in percent."""
    labels = query.pids, gallery.pids, query.camids, gallery.camids
    return 100 * float(evaluate_rank(distance_matrix(query, gallery, "cosine"), *labels)[1])


def features(extractor, items, frames):
    """Features and labels of tracklets."""
    chosen = [spread(paths, frames) for paths, *_ in items]
    pids, camids = (np.array([item[place] for item in items]) for place in (1, 2))
    return Features(extractor(chosen), pids, camids)


def spread(paths, number):
    """Evenly spaced paths."""
    if not number or len(paths) <= number:
        return list(paths)
    return [paths[(2 * place + 1) * len(paths) // (2 * number)] for place in range(number)]


if __name__ == "__main__":
    main()
