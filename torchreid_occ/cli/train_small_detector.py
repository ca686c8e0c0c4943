"""Trains a small detector on rendered people, to try `annotate` without torchvision's weights.

    torchreid-occ train-small-detector keypoints --out keypoints.pth
    torchreid-occ train-small-detector masks --out masks.pth

It knows people of OccWalk only: for real ones take torchvision's weights.
"""

import argparse

KINDS = ("keypoints", "masks")
PRESETS = ("occwalk_tiny", "occwalk_small", "occwalk_full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--out", required=True, metavar="FILE", help="file of weights to write")
    parser.add_argument("--preset", choices=PRESETS, default="occwalk_small")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the rendering")
    parser.add_argument("--tracklets", type=int, default=300, metavar="N", help="rendered (300)")
    parser.add_argument(
        "--steps", type=int, default=600, metavar="N", help="batches of 8 frames (600)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains the detector and prints its last losses.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.annotate.small_detectors import save_small_detector

    losses = save_small_detector(
        arguments.kind,
        arguments.out,
        arguments.preset,
        arguments.seed,
        arguments.tracklets,
        arguments.steps,
    )
    print(f"{arguments.out}, last losses: { ({k: round(v, 3) for k, v in losses.items()}) }")
