"""Annotates a dataset: key point lines and foreground maps of its frames.

    torchreid-occ annotate -s tracklet_folder --root my-footage --out my-footage/targets

Every frame of train, query and gallery is annotated by torchvision's keypoint R-CNN and mask R-CNN
(rcnn), or by MediaPipe's BlazePose (blazepose: small, fast on a CPU, and needs no more than a
package index). Their weights are downloaded on first use, or are files of yours. A killed command
is continued by the same command. The folder then holds what data.keypoints and data.foreground
name, and report.md, which tells how good it is.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from torchreid_occ.utils.errors import short_errors

if TYPE_CHECKING:
    from torchreid_occ.annotate import BlazePoseOptions, FinderOptions

SUBSETS = ("train", "query", "gallery")


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
    parser.add_argument(
        "--subsets", nargs="+", choices=SUBSETS, default=SUBSETS, help="what to annotate (all)"
    )
    parser.add_argument("--network", choices=("rcnn", "blazepose"), default="rcnn", help="(rcnn)")
    rcnn = parser.add_argument_group("of --network rcnn")
    rcnn.add_argument("--keypoint-weights", metavar="FILE", help="of keypointrcnn_resnet50_fpn")
    rcnn.add_argument("--segmentation-weights", metavar="FILE", help="of maskrcnn_resnet50_fpn")
    rcnn.add_argument(
        "--height", type=int, metavar="N", help="frames are enlarged to it (the network's, or 512)"
    )
    rcnn.add_argument("--min-score", type=float, metavar="S", help="of a person (0.5)")
    rcnn.add_argument("--min-keypoint-score", type=float, metavar="S", help="if visible (2.0)")
    pose = parser.add_argument_group("of --network blazepose")
    pose.add_argument("--model", metavar="FILE", help="pose_landmark_full.tflite, or its wheel")
    pose.add_argument("--min-presence", type=float, metavar="P", help="of a person (0.3)")
    pose.add_argument("--min-visibility", type=float, metavar="V", help="of a key point (0.3)")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="frames at once (8)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="that read images (2)")


def run(arguments: argparse.Namespace) -> None:
    """Annotates the dataset and prints the path of the report.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.annotate import annotate_dataset

    with short_errors(interrupted="Interrupted; the same command continues it."):
        report = annotate_dataset(
            arguments.source,
            arguments.root,
            arguments.out,
            split_id=arguments.split,
            dataset_options=dict(arguments.option),
            subsets=arguments.subsets,
            max_tracklets=arguments.tracklets,
            finder_options=_network(arguments),
            batch_size=arguments.batch_size,
            workers=arguments.workers,
        )
    print(report)


def _network(arguments: argparse.Namespace) -> "FinderOptions | BlazePoseOptions":
    """Returns the options of the chosen network; those of the other one must not be given."""
    from torchreid_occ.annotate import BlazePoseOptions, FinderOptions

    names = {"rcnn": FinderOptions._fields, "blazepose": BlazePoseOptions._fields}
    given = {
        network: {name: value for name in fields if (value := getattr(arguments, name)) is not None}
        for network, fields in names.items()
    }
    own = given.pop(arguments.network)
    for network, others in given.items():
        if others:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in others)
            raise ValueError(
                f"Received {flags} with --network {arguments.network}, but expected it with "
                f"--network {network}."
            )
    return FinderOptions(**own) if arguments.network == "rcnn" else BlazePoseOptions(**own)
