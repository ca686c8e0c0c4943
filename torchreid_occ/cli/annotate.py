"""Annotates a dataset: key point lines and foreground maps of its frames.

    torchreid-occ annotate -s tracklet_folder --root my-footage --out my-footage/targets

Torchvision's keypoint R-CNN and mask R-CNN are applied to every frame of train, query and gallery.
Their weights are torchvision's, downloaded on first use, or files of yours. A killed command is
continued by the same command. The folder then holds what data.keypoints and data.foreground name,
and report.md, which tells how good it is.
"""

import argparse
import logging
import sys
from pathlib import Path

from torchreid_occ.cli.errors import short_errors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("-s", "--source", required=True, metavar="NAME", help="the dataset")
    parser.add_argument("--root", default="reid-data", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--split", type=int, default=0, metavar="N", help="split of the dataset")
    parser.add_argument(
        "--option", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
        help="of the dataset, such as: -s completed --option path log/vrstc/complete/copy",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument("--tracklets", type=int, metavar="N", help="of each subset only: a trial")
    parser.add_argument("--keypoint-weights", metavar="FILE", help="of keypointrcnn_resnet50_fpn")
    parser.add_argument("--segmentation-weights", metavar="FILE", help="of maskrcnn_resnet50_fpn")
    parser.add_argument(
        "--height", type=int, metavar="N", help="frames are enlarged to it (the network's, or 512)"
    )
    parser.add_argument("--min-score", type=float, default=0.5, help="of a person (0.5)")
    parser.add_argument(
        "--min-keypoint-score", type=float, default=2.0, help="of a visible key point (2.0)"
    )
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="frames at once (8)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="that read images (2)")


def run(arguments: argparse.Namespace) -> None:
    """Annotates the dataset and prints the path of the report.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.annotate import FinderOptions, annotate_dataset

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    options = FinderOptions(
        arguments.keypoint_weights,
        arguments.segmentation_weights,
        arguments.height,
        arguments.min_score,
        arguments.min_keypoint_score,
    )
    with short_errors(interrupted="Interrupted; the same command continues it."):
        report = annotate_dataset(
            arguments.source,
            arguments.root,
            arguments.out,
            split_id=arguments.split,
            dataset_options=dict(arguments.option),
            max_tracklets=arguments.tracklets,
            finder_options=options,
            batch_size=arguments.batch_size,
            workers=arguments.workers,
        )
    print(report)
