"""Sorts your own frames into train, query and gallery, without moving them.

torchreid-occ sort my-footage
torchreid-occ train --config-file configs/own/small.yaml --root my-footage
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument(
        "folder", type=Path,
        help="of frames named as in MARS or Market-1501 (CVAT's export), or of person/camera",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="of tracklets.csv; by default the folder itself"
    )
    parser.add_argument(
        "--test-share", type=float, default=0.5, metavar="SHARE",
        help="of the persons whom several cameras see (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the draw (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Sorts the frames and prints what there is.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.data.sorting import sort_folder

    done = sort_folder(arguments.folder, arguments.out, arguments.test_share, arguments.seed)
    numbers = done.tracklets
    train, test = done.persons
    print(
        f"{done.file} names {numbers['train']} tracklets of {train} persons for training, "
        f"{numbers['query']} queries of {test} persons and {numbers['gallery']} in the gallery."
    )
    how = f"drawn with seed {arguments.seed}" if done.drawn else "as the folders name them"
    print(f"Frames are named in the way of {done.layout}; the subsets are {how}.")
    if done.junk:
        print(f"{done.junk} frames of false detections (00-1, -1) are left out.")
    root = done.file.parent
    print(f"Next: torchreid-occ train --config-file configs/own/small.yaml --root {root}")
