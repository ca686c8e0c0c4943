"""Trains configurations side by side over seeds, and lays their results into tables."""

import shutil
import statistics
from pathlib import Path

import numpy as np

from torchreid_occ.config import load_config
from torchreid_occ.data.occwalk.stats import query_labels
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.pipelines.phases import results_of

RANKS = (1, 5, 10)


def run_suite(paths, seeds, splits, folder, overrides=()):
    """Runs every configuration with every seed; finished runs are read, interrupted ones go on.

    Args:
        paths: Configuration files, one a row of the tables, named by their stems.
        seeds: Values of ``train.seed``.
        splits: ``data.split_id`` of each seed; None leaves it as configured.
        folder: Runs go to ``<folder>/<row>/seed_<seed>``.
        overrides: ``[key, value, ...]`` on top of every configuration.

    Returns:
        ``{row: [what results.json of each seed holds]}``.

    Raises:
        ValueError: If there is not one split for each seed, two files share a name, or a folder
            holds a run of another configuration.
    """
    rows = {Path(path).stem: path for path in paths}
    if len(rows) < len(paths):
        raise ValueError(f"Received {[*map(str, paths)]}: give each file another name.")
    splits = [None] * len(seeds) if splits is None else splits
    if len(splits) != len(seeds):
        raise ValueError(
            f"Received {len(splits)} splits for {len(seeds)} seeds: give one for each."
        )
    runs = {row: [] for row in rows}
    for seed, split in zip(seeds, splits, strict=True):  # rows of a seed share its rendering
        for row, path in rows.items():
            save_dir = Path(folder, row, f"seed_{seed}")
            own = [*overrides, "train.seed", str(seed), "data.save_dir", str(save_dir)]
            own += [] if split is None else ["data.split_id", str(split)]
            runs[row].append(run_once(path, own))
    return runs


def run_once(path, overrides):
    """Runs a configuration, unless its folder holds its results already.

    Args:
        path: The configuration file.
        overrides: ``[key, value, ...]``.

    Raises:
        ValueError: If the folder holds a run of another configuration.
    """
    config = load_config(path, overrides)
    save_dir = Path(config.data.save_dir)
    if config.engine == "torchreid" and not (save_dir / "results.json").exists():
        shutil.rmtree(save_dir, ignore_errors=True)  # torchreid cannot go on with a run
    return results_of(config, resume=True)


def results_table(runs):
    """A Markdown table: rows by target, with mean and standard deviation over seeds in percent.

    Rows of a seed share its data, so that their difference says more than their spreads: mAP is
    also given over the first row's of the same seed.

    Args:
        runs: From :func:`run_suite`.
    """
    lines = [
        f"| tested on | model | mAP | over {next(iter(runs))} "
        f"| {' | '.join(f'rank-{rank}' for rank in RANKS)} |",
        "|---|---|" + "---|" * (2 + len(RANKS)),
    ]
    first = next(iter(runs.values()))
    targets = first[0]["targets"]
    for target in targets:
        for row, seeds in runs.items():
            results = [run["targets"][target]["last"] for run in seeds]
            values = [[result["mAP"] for result in results]]
            values += [[result["cmc"][rank] for result in results] for rank in RANKS]
            cells = [*map(_mean_and_spread, values)]
            others = [run["targets"][target]["last"]["mAP"] for run in first]
            gains = [one - other for one, other in zip(values[0], others, strict=True)]
            cells.insert(1, "" if seeds is first else _mean_and_spread(gains, sign="+"))
            lines.append(f"| {target} | {row} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cost_table(runs):
    """A Markdown table of what each row costs: size, work, and mean time over seeds.

    Args:
        runs: From :func:`run_suite`.
    """
    lines = ["| model | parameters | GMACs a clip | seconds |", "|---|---|---|---|"]
    for row, seeds in runs.items():
        cost = seeds[0]["cost"]
        seconds = statistics.mean(run["seconds"] for run in seeds)
        lines.append(
            f"| {row} | {cost['parameters'] / 1e6:.2f} M | {cost['gmacs_per_clip']:.2f} "
            f"| {seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def label_table(runs, root):
    """A Markdown table of mAP in percent by how much of the query's person is hidden.

    The label of a query tracklet is the paper's (Section 5.2, note 3) for the mean over its
    frames: n stands for more than (n - 1) and at most n tenths. Queries of all seeds are pooled.

    Args:
        runs: From :func:`run_suite`; their targets are renderings of OccWalk.
        root: Folder that holds the datasets.
    """
    labels, columns = {}, set()
    for run in next(iter(runs.values())):
        for target in run["targets"]:
            split = run["config"]["data"]["split_id"]
            folder = load_dataset(target, root, split).dataset_dir
            labels[target, split] = query_labels(folder)
            columns |= set(labels[target, split])
    columns = sorted(columns)
    counts = np.array([[np.sum(found == c) for c in columns] for found in labels.values()])
    targets = next(iter(runs.values()))[0]["targets"]
    counts = counts.sum(0) // len(targets)
    heads = (f"{label} ({count})" for label, count in zip(columns, counts, strict=True))
    lines = [f"| tested on | model | {' | '.join(heads)} |", "|---|---|" + "---|" * len(columns)]
    for target in targets:
        for row, seeds in runs.items():
            found, precisions = [], []
            for run in seeds:
                found.append(labels[target, run["config"]["data"]["split_id"]])
                precisions += run["targets"][target]["last"]["average_precisions"]
            found, precisions = np.concatenate(found), np.array(precisions, float)
            means = [100 * np.nanmean(precisions[found == label]) for label in columns]
            lines.append(f"| {target} | {row} | {' | '.join(f'{m:.1f}' for m in means)} |")
    return "\n".join(lines) + "\n"


def _mean_and_spread(values, sign=""):
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):{sign}.1f} ± {100 * spread:.1f}"
