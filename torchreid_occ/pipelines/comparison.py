"""Trains configurations side by side over seeds, and lays their results into tables."""

import shutil
import statistics
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np

from torchreid_occ.config import load_config
from torchreid_occ.data.occwalk import OccWalk
from torchreid_occ.data.occwalk.stats import query_labels
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.pipelines.phases import trainings_of
from torchreid_occ.registry import dataset_class

RANKS = (1, 5, 10)


def run_suite(paths, seeds, splits, folder, overrides=(), phases=()):
    """Runs every configuration with every seed; finished runs are read, interrupted ones go on.

    Args:
        paths: Configuration files, one a row of the tables, named by their stems.
        seeds: Values of ``train.seed``.
        splits: ``data.split_id`` of each seed; None leaves it as configured.
        folder: Runs go to ``<folder>/<row>/seed_<seed>``.
        overrides: ``[key, value, ...]`` on top of every configuration.
        phases: Of a configuration with phases, those that are a row each, named
            ``<file>/<phase>``; without names the last training is the file's row.

    Returns:
        ``{row: [what results.json of each seed holds]}``.

    Raises:
        ValueError: If there is not one split for each seed, two files share a name, a phase
            is no training of any file, or a folder holds a run of another configuration.
    """
    rows = {Path(path).stem: path for path in paths}
    if len(rows) < len(paths):
        raise ValueError(f"Received {[*map(str, paths)]}: give each file another name.")
    splits = [None] * len(seeds) if splits is None else splits
    if len(splits) != len(seeds):
        raise ValueError(
            f"Received {len(splits)} splits for {len(seeds)} seeds: give one for each."
        )
    known = {
        phase["name"]
        for config in map(load_config, rows.values())
        for phase in config.phases
        if phase.get("task", config.task) == "train"
    }
    if not set(phases) <= known:
        raise ValueError(
            f"Received phases {[*phases]}, but those that train and test are {sorted(known)}."
        )
    runs = defaultdict(list)
    for seed, split in zip(seeds, splits, strict=True):  # rows of a seed share its rendering
        for row, path in rows.items():
            save_dir = Path(folder, row, f"seed_{seed}")
            own = [*overrides, "train.seed", str(seed), "data.save_dir", str(save_dir)]
            own += [] if split is None else ["data.split_id", str(split)]
            trainings = run_once(path, own)
            named = {name: trainings[name] for name in phases if name in trainings}
            for name, results in named.items():
                runs[f"{row}/{name}"].append(results)
            if not named:
                runs[row].append([*trainings.values()][-1])
    return dict(runs)


def run_once(path, overrides):
    """Runs a configuration, unless its folder holds its results already.

    Args:
        path: The configuration file.
        overrides: ``[key, value, ...]``.

    Returns:
        As of :func:`trainings_of`.

    Raises:
        ValueError: If the folder holds a run of another configuration.
    """
    config = load_config(path, overrides)
    save_dir = Path(config.data.save_dir)
    if config.engine == "torchreid" and not (save_dir / "results.json").exists():
        shutil.rmtree(save_dir, ignore_errors=True)  # torchreid cannot go on with a run
    return trainings_of(config, resume=True)


def results_table(runs):
    """A Markdown table: rows by target, with mean and standard deviation over seeds in percent.

    Rows of a seed share its data, so that their difference says more than their spreads: mAP is
    also given over the first row's of the same seed, where that was tested on the same.

    Args:
        runs: From :func:`run_suite`.
    """
    lines = [
        f"| tested on | model | mAP | over {next(iter(runs))} "
        f"| {' | '.join(f'rank-{rank}' for rank in RANKS)} |",
        "|---|---|" + "---|" * (2 + len(RANKS)),
    ]
    first = next(iter(runs.values()))
    for target in _targets(runs):
        for row, seeds in _tested_on(target, runs):
            results = [run["targets"][target]["last"] for run in seeds]
            values = [[result["mAP"] for result in results]]
            values += [[result["cmc"][rank] for result in results] for rank in RANKS]
            cells = [*map(_mean_and_spread, values)]
            if seeds is first or target not in first[0]["targets"]:
                cells.insert(1, "")
            else:
                others = [run["targets"][target]["last"]["mAP"] for run in first]
                gains = [one - other for one, other in zip(values[0], others, strict=True)]
                cells.insert(1, _mean_and_spread(gains, sign="+"))
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
        runs: From :func:`run_suite`.
        root: Folder that holds the datasets.

    Returns:
        The table of those targets that are renderings of OccWalk; no text if there are none.
    """

    @cache  # rows of a seed share it
    def labels_of(target, split):
        return query_labels(load_dataset(target, root, split).dataset_dir)

    lines = []
    for target in _targets(runs):
        if not issubclass(dataset_class(target), OccWalk):
            continue
        for row, seeds in _tested_on(target, runs):
            splits = [run["config"]["data"]["split_id"] for run in seeds]
            labels = np.concatenate([labels_of(target, split) for split in splits])
            found = [run["targets"][target]["last"]["average_precisions"] for run in seeds]
            precisions = np.concatenate([*map(np.array, found)]).astype(float)
            if not lines:
                columns, counts = np.unique(labels, return_counts=True)
                heads = (
                    f"{column} ({count})" for column, count in zip(columns, counts, strict=True)
                )
                lines.append(f"| tested on | model | {' | '.join(heads)} |")
                lines.append("|---|---|" + "---|" * len(columns))
            means = [100 * np.nanmean(precisions[labels == column]) for column in columns]
            lines.append(f"| {target} | {row} | {' | '.join(f'{mean:.1f}' for mean in means)} |")
    return "".join(f"{line}\n" for line in lines)


def _targets(runs):
    """All that any row was tested on, in order."""
    return [*dict.fromkeys(target for seeds in runs.values() for target in seeds[0]["targets"])]


def _tested_on(target, runs):
    """The rows that were tested on a target, with their seeds."""
    return [(row, seeds) for row, seeds in runs.items() if target in seeds[0]["targets"]]


def _mean_and_spread(values, sign=""):
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):{sign}.1f} ± {100 * spread:.1f}"
