"""Trains and tests configurations side by side over seeds: `make compare`.

Finished runs are not trained again; an interrupted comparison goes on where it was. Tables
(`table.md`, `table.csv`, `table.json`) and plots come into its folder.
"""

import argparse

from torchreid_occ.studies.comparison import compare


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", nargs="+", required=True, metavar="FILE", help="one a row")
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
    arguments = parser.parse_args()
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


if __name__ == "__main__":
    main()
