"""Trains and tests configurations side by side over seeds: `make compare`.

Finished runs are not trained again; an interrupted comparison goes on where it was.
"""

import argparse
from pathlib import Path

from torchreid_occ.config import load_config
from torchreid_occ.pipelines.comparison import (
    cost_table,
    label_table,
    results_table,
    run_once,
    run_suite,
)
from torchreid_occ.utils.files import write_text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
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
    arguments = parser.parse_args()
    root = ["data.root", arguments.root] if arguments.root else []
    if arguments.pretrain:
        run_once(arguments.pretrain, root)
    runs = run_suite(
        arguments.suite, arguments.seeds, arguments.splits, arguments.folder, root, arguments.phases
    )
    data_root = load_config(arguments.suite[0], root).data.root
    parts = [results_table(runs), cost_table(runs), label_table(runs, data_root)]
    table = "\n".join(part for part in parts if part)
    write_text(Path(arguments.folder, "table.md"), table)
    print(f"\n{table}\nTable: {Path(arguments.folder, 'table.md')}")


if __name__ == "__main__":
    main()
