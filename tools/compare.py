"""Trains and tests configurations side by side over seeds: `make compare`.

Finished runs are not trained again; an interrupted comparison goes on where it was. Tables
(`table.md`, `table.csv`, `table.json`) and plots come into its folder.
"""

import argparse
from pathlib import Path

from torchreid_occ.config import load_config
from torchreid_occ.studies.comparison import run_all, run_suite
from torchreid_occ.studies.comparison_plots import draw_cmc, draw_cost, draw_labels, styles
from torchreid_occ.studies.comparison_speed import frames_per_second
from torchreid_occ.studies.comparison_tables import (
    by_label,
    csv_table,
    label_table,
    markdown_table,
    summarise,
)
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import replacing, write_json, write_text


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
    root = ["data.root", arguments.root] if arguments.root else []
    if arguments.pretrain:
        run_all([(arguments.pretrain, root)])
    runs = run_suite(
        arguments.suite,
        arguments.seeds,
        arguments.splits,
        arguments.folder,
        root,
        arguments.phases,
        arguments.jobs,
    )
    summary = summarise(runs, frames_per_second(runs))
    labels = by_label(runs, load_config(arguments.suite[0], root).data.root)
    write(Path(arguments.folder), runs, summary, labels)


def write(folder, runs, summary, labels):
    """Writes tables and plots, and shows the tables."""
    table = "\n".join(filter(None, (markdown_table(summary), label_table(labels))))
    write_text(folder / "table.md", table)
    write_text(folder / "table.csv", csv_table(summary))
    about = {"hardware": hardware(use_gpu=True), "versions": versions()}
    write_json(folder / "table.json", {"rows": summary, "by_label": labels, **about})
    target = summary[0]["tested on"]
    drawn = styles(runs)
    plots = {"cmc": draw_cmc(runs, target, drawn), "cost": draw_cost(summary, target, drawn)}
    if target in labels:
        plots["labels"] = draw_labels(labels, target, drawn)
    for name, figure in plots.items():
        with replacing(folder / f"{name}.png") as file:
            figure.savefig(file, format="png", dpi=110)
    print(f"\n{table}\nTables and plots: {folder}")


if __name__ == "__main__":
    main()
