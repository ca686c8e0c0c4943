"""Measures what OpenVINO's precisions change on a trained model: mAP and features.

    python tools/benchmarks/backends.py CHECKPOINT --root reid-data --targets occwalk_small

The reference is PyTorch in float32. int8 is calibrated on the tracklets that the checkpoint was
trained on. Prints, for each target and split, the mAP of each precision in percent, and the mean
and least cosine of its features to the reference's.
"""

import argparse

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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("--root", default="reid-data", metavar="DIR")
    parser.add_argument("--targets", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--splits", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument(
        "--frames", type=int, default=0, metavar="N", help="of each tracklet, evenly spaced; 0: all"
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    extractors = {
        name: TrackletExtractor(
            arguments.checkpoint, backend=backend, precision=precision, workers=0, use_gpu=False
        )
        for name, (backend, precision) in PRECISIONS.items()
    }
    rows = []
    for target in arguments.targets:
        for split in arguments.splits:
            subsets = tracklets_of(load_dataset(target, arguments.root, split))
            row = {"target": target, "split": split, **compare(extractors, subsets, arguments)}
            rows.append(row)
            print(row, flush=True)
    for name in PRECISIONS:
        changes = [row[name]["mAP"] - row["float32"]["mAP"] for row in rows]
        print(
            f"{name}: mAP changes by {np.mean(changes):+.2f} points on average "
            f"(from {min(changes):+.2f} to {max(changes):+.2f}), mean cosine "
            f"{np.mean([row[name]['cosine'] for row in rows]):.5f}"
        )
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions()}
        write_json(arguments.json, {"options": vars(arguments), "rows": rows, **about})


def compare(extractors, subsets, arguments):
    """The mAP of each precision, and how near its features are to the reference's."""
    found, reference = {}, None
    for name, extractor in extractors.items():
        sets = [features(extractor, subsets[part], arguments) for part in ("query", "gallery")]
        distances = distance_matrix(*sets, "cosine")
        query, gallery = sets
        labels = query.pids, gallery.pids, query.camids, gallery.camids
        vectors = torch.cat([part.features for part in sets])
        reference = vectors if reference is None else reference
        cosines = F.cosine_similarity(vectors, reference)
        found[name] = {
            "mAP": 100 * float(evaluate_rank(distances, *labels)[1]),
            "cosine": cosines.mean().item(),
            "least cosine": cosines.min().item(),
        }
    return found


def features(extractor, items, arguments):
    """Features and labels of tracklets."""
    chosen = [spread(paths, arguments.frames) for paths, *_ in items]
    pids, camids = (np.array([item[place] for item in items]) for place in (1, 2))
    return Features(extractor(chosen), pids, camids)


def spread(paths, number):
    """Evenly spaced paths."""
    if not number or len(paths) <= number:
        return list(paths)
    return [paths[(2 * place + 1) * len(paths) // (2 * number)] for place in range(number)]


if __name__ == "__main__":
    main()
