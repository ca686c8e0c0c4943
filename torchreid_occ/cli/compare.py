"""Trains and tests configurations side by side over seeds.

    torchreid-occ compare --suite demo/baseline_resnet50.yaml demo/rfcnet.yaml --seeds 1 2 3

Finished runs are not trained again; an interrupted comparison continues where it was. Tables
(`table.md`, `table.csv`, `table.json`) and plots are written to its folder.
"""

import argparse

from torchreid_occ.utils.errors import short_errors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument(
        "--suite", nargs="+", required=True, metavar="FILE",
        help="configurations: a row each, or all rows of a table",
    )  # fmt: skip
    parser.add_argument("--pretrain", metavar="FILE", help="run before the suite, if not done yet")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N")
    parser.add_argument(
        "--splits", nargs="+", type=int, metavar="N",
        help="data.split_id of each seed; OccWalk renders each from its number",
    )  # fmt: skip
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--folder", default="log/compare", metavar="DIR", help="where runs go")
    parser.add_argument(
        "--phases", nargs="+", default=[], metavar="NAME",
        help="a row for each of these phases instead of one for the last training",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at once")


def run(arguments: argparse.Namespace) -> None:
    """Runs the comparison and prints its tables.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.studies.comparison import compare

    with short_errors(RuntimeError, interrupted="Interrupted; the same command continues it."):
        comparison = compare(
            arguments.suite,
            arguments.seeds,
            arguments.splits,
            arguments.folder,
            ["data.root", arguments.root] if arguments.root else [],
            arguments.phases,
            arguments.jobs,
            arguments.pretrain,
        )
    print(f"\n{comparison.table()}\nTables and plots: {arguments.folder}")
