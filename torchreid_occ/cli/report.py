"""Writes a page about a finished run that opens in any browser, offline.

    torchreid-occ report log/demo/rfcnet

The page, report.html in the run's folder, holds results, plots, the hardest queries with what they
find, and the model's own pictures. The run's checkpoint is tested once more for it.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("folder", help="data.save_dir of the run, or a phase's folder in it")
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets, if not the run's")
    parser.add_argument(
        "--queries", type=int, default=8, metavar="N", help="hardest queries of each target (8)"
    )
    parser.add_argument("--out", metavar="FILE", help="in place of report.html in the folder")


def run(arguments: argparse.Namespace) -> None:
    """Writes the page and prints its path.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.report import write_report

    path = write_report(arguments.folder, arguments.root, arguments.queries, arguments.out)
    print(f"{path}, {path.stat().st_size / 2**20:.1f} MB")
