"""Makes an occluded copy of a dataset, with ground truth of what is hidden.

    torchreid-occ occlude -s mars --root reid-data --masks reid-data/mars-targets --out mars-occ

People of the same data walk in front of others: training people in front of training people, test
people in front of test people. --occluders things takes OccWalk's rendered poles, cars, bushes and
passers-by instead, of other kinds for the test, and --occluders FOLDER pictures with transparency.
The masks, which also say what is hidden, are the dataset's own or those that torchreid-occ annotate
wrote (--masks). A killed command is continued by the same command. The copy is the dataset
'occluded':

    torchreid-occ train --config-file FILE -s occluded data.options.occluded.path mars-occ

RFCnet, Section 5: all queries are occluded in more than a third of their frames, and so is a part
of the gallery and of the training set.
"""

import argparse
from pathlib import Path

from torchreid_occ.utils.errors import short_errors

PARTS = ("query", "gallery", "train")


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
        help="of the dataset, such as: -s mars --option gallery torchreid",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument(
        "--masks", default="", metavar="FOLDER",
        help="what torchreid-occ annotate wrote (the dataset's own masks)",
    )  # fmt: skip
    parser.add_argument(
        "--occluders", default="people", metavar="WHAT",
        help="people of the data, rendered things, or a folder of cut-outs with transparency "
        "(people)",
    )  # fmt: skip
    parser.add_argument(
        "--part", nargs="+", choices=PARTS, default=PARTS, help="what is occluded (all parts)"
    )
    for part, share in zip(PARTS, (1.0, 0.69, 0.55), strict=True):
        parser.add_argument(
            f"--{part}-share", type=float, default=share, metavar="X",
            help=f"of the {part} tracklets that are occluded ({share})",
        )  # fmt: skip
    parser.add_argument(
        "--frames", nargs=2, type=float, default=(1 / 3, 0.75), metavar=("X", "Y"),
        help="of an occluded tracklet's frames: more than X, at most Y (1/3 0.75)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the copy (0)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (2)")


def run(arguments: argparse.Namespace) -> None:
    """Makes the copy and prints the path of its page.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.occlusion.occlude import occlude_dataset
    from torchreid_occ.occlusion.protocol import Protocol

    shares = arguments.query_share, arguments.gallery_share, arguments.train_share
    with short_errors(interrupted="Interrupted; the same command continues it."):
        report = occlude_dataset(
            arguments.source,
            arguments.root,
            arguments.out,
            split_id=arguments.split,
            dataset_options=dict(arguments.option),
            masks=arguments.masks,
            occluders=arguments.occluders,
            parts=arguments.part,
            protocol=Protocol(*shares, *arguments.frames),
            seed=arguments.seed,
            workers=arguments.workers,
        )
    print(report)
