"""Trains RFCnet on rendered data, from ImageNet weights where they are, and shows what it does.

It is tested on occluded queries and on the same queries without occluders. Results, a table and
pictures go to log/demo; finished parts are not trained again.
"""

import argparse

CONFIG = "configs/demo/rfcnet.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: the demo has no options.

    Args:
        parser: The parser.
    """


def run(arguments: argparse.Namespace) -> None:
    """Runs the configuration; prints the table, and where files are.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.studies.demo import run_demo

    demo = run_demo(CONFIG)
    print(f"\n{demo.table}\nTable: {demo.table_path}\nPictures: {demo.pictures[0].parent}")
    print(f"Log: {demo.save_dir}\nComparisons over seeds: make compare")
