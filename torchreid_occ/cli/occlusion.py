"""Counts occlusion in an annotated dataset, beside the paper's Tables 1 and 2 (RFCnet).

torchreid-occ occlusion occlusion.csv --root reid-data
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument(
        "annotation", metavar="FILE",
        help="labels 0 to 10 of frames: CSV with the columns frame,label or JSON {frame: label}",
    )  # fmt: skip
    parser.add_argument("--root", default="reid-data", help="folder that holds the datasets")


def run(arguments: argparse.Namespace) -> None:
    """Prints the tables of Occluded-DukeMTMC-VideoReID.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.data.occlusion_labels import fractions_by_split
    from torchreid_occ.data.tracklets import load_dataset
    from torchreid_occ.occwalk.stats import tables

    options = {"occlusion": arguments.annotation}
    dataset = load_dataset("occluded_dukemtmcvidreid", arguments.root, options=options)
    print(tables("Occluded-DukeMTMC-VideoReID", "labels", fractions_by_split(dataset)))
