"""Trains a small detector on OccWalk, to try tools/make_targets.py without torchvision's weights.

    python tools/train_small_detector.py keypoints --out keypoints.pth
    python tools/train_small_detector.py masks --out masks.pth

It knows rendered people only: for real ones take torchvision's weights.
"""

import argparse
import logging
import sys

from torchreid_occ.annotate.networks import HEADS
from torchreid_occ.annotate.small_detectors import save_small_detector
from torchreid_occ.occwalk.presets import PRESETS


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=HEADS)
    parser.add_argument("--out", required=True, metavar="FILE", help="file of weights to write")
    parser.add_argument("--preset", choices=PRESETS, default="occwalk_small")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the rendering")
    parser.add_argument("--tracklets", type=int, default=300, metavar="N", help="rendered")
    parser.add_argument("--steps", type=int, default=600, metavar="N", help="batches of 8 frames")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        losses = save_small_detector(
            args.kind, args.out, args.preset, args.seed, args.tracklets, args.steps
        )
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"{args.out}, last losses: { ({k: round(v, 3) for k, v in losses.items()}) }")


if __name__ == "__main__":
    main()
