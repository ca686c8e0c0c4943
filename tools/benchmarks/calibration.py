"""Calibration and open-set search of any features, on people that nothing was fitted to.

    python tools/benchmarks/calibration.py features.npz --false-matches 0.01 0.03

The file holds, for each part of `query`, `gallery` and `train` (the cohort): its features (N, D)
under that name, and `<part>_pid` and `<part>_cam` (N,); `labels` (Q,) are optional labels of the
queries. It prints JSON.
"""

import argparse
import json

import numpy as np

from torchreid_occ.calibration import LabelledFeatures
from torchreid_occ.calibration.measuring import measure_calibration


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features")
    parser.add_argument("--false-matches", type=float, nargs="+", default=[0.01])
    arguments = parser.parse_args()
    with np.load(arguments.features) as stored:
        query, gallery, train = (
            LabelledFeatures(stored[part], stored[f"{part}_pid"], stored[f"{part}_cam"])
            for part in ("query", "gallery", "train")
        )
        labels = stored.get("labels")
    for rate in arguments.false_matches:
        print(json.dumps(measure_calibration(query, gallery, train, rate, labels)))


if __name__ == "__main__":
    main()
