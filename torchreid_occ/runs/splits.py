"""Runs a configuration on each split of a dataset, and averages."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchreid_occ._types import StrPath
from torchreid_occ.config import load_config
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.runs.folder import check_save_dir, write_config, write_results
from torchreid_occ.runs.phases import trainings_of
from torchreid_occ.utils.processes import is_first_process


def run_splits(
    path: StrPath,
    overrides: Sequence[str],
    splits: Sequence[int] | None,
    resume: bool = False,
) -> dict[str, Any]:
    """Runs a configuration on several splits of its dataset and averages the results.

    Args:
        path: The configuration file; of one with phases, the last training counts.
        overrides: ``[key, value, ...]``.
        splits: Numbers of the splits, or None for all that the dataset has.
        resume: Skip finished splits and continue the one that was interrupted.

    Returns:
        The content of ``<save_dir>/results.json``: mean and spread over splits, and each.

    Raises:
        ValueError: For splits the dataset does not have.
    """
    config = load_config(path, overrides)
    save_dir = Path(config.data.save_dir)
    # The source may have one fixed split and the target ten, as in a transfer.
    classes = map(dataset_class, {*config.data.sources, *config.data.targets})
    available = range(max(getattr(dataset, "num_splits", 1) for dataset in classes))
    splits = list(available) if splits is None else splits
    if not set(splits) <= set(available) or len(set(splits)) < len(splits):
        raise ValueError(f"Splits are {list(splits)}, but there are {list(available)}, each once.")
    check_save_dir(config, resume, over_splits=True)
    if is_first_process():
        write_config(config)
    runs = []
    for split in splits:
        own = ["data.split_id", str(split), "data.save_dir", str(save_dir / f"split_{split}")]
        trainings = trainings_of(load_config(path, [*overrides, *own]), resume)
        runs.append([*trainings.values()][-1])
    results = {"targets": _average(runs), "splits": splits, "runs": runs}
    if is_first_process():
        write_results(save_dir, results)
    return results


def _average(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Averages results over runs, by target and checkpoint."""
    averaged: dict[str, Any] = {}
    for name, checkpoints in runs[0]["targets"].items():
        averaged[name] = {}
        for checkpoint in checkpoints:
            each = [run["targets"][name][checkpoint] for run in runs]
            averaged[name][checkpoint] = {
                "mAP": _mean_and_spread([result["mAP"] for result in each]),
                "cmc": {
                    rank: _mean_and_spread([result["cmc"][rank] for result in each])
                    for rank in each[0]["cmc"]
                },
            }
    return averaged


def _mean_and_spread(values: list[float]) -> dict[str, float]:
    """Returns mean and sample standard deviation."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.mean(values), "std": spread}
