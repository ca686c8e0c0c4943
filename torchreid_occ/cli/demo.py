"""Trains the papers' baseline and RFCnet on rendered data and compares them.

Results, a table and pictures go to log/demo; finished parts are not trained again.
"""

import argparse

CONFIGS = {
    "papers' baseline": "configs/demo/baseline_resnet50.yaml",
    "RFCnet": "configs/demo/rfcnet.yaml",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: the demo has no options.

    Args:
        parser: The parser.
    """


def run(arguments: argparse.Namespace) -> None:
    """Runs both configurations; prints the table, and where files are.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.studies.demo import run_demo

    demo = run_demo(CONFIGS)
    print(f"\n{demo.table}\nTable: {demo.table_path}\nPictures: {demo.pictures[0].parent}")
    print(f"Logs: {', '.join(demo.save_dirs)}")
