"""Trains configurations side by side over seeds.

Each run is a process of its own, ``python -m torchreid_occ.studies.comparison FILE [KEY VALUE
...]``, so that several can go at once and each leaves its memory behind.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import torch

from torchreid_occ.completion.dataset import MANIFEST
from torchreid_occ.config import load_config
from torchreid_occ.runs.phases import finished_trainings, trainings_of
from torchreid_occ.utils.progress import progress


def run_suite(paths, seeds, splits, folder, overrides=(), phases=(), jobs=1):
    """Runs every configuration with every seed; finished runs are read, interrupted ones go on.

    Args:
        paths: Configuration files, one a row of the tables, named by their stems.
        seeds: Values of ``train.seed``.
        splits: ``data.split_id`` of each seed; None leaves it as configured.
        folder: Runs go to ``<folder>/<row>/seed_<seed>``.
        overrides: ``[key, value, ...]`` on top of every configuration.
        phases: Of a configuration with phases, those that are a row each, named
            ``<file>/<phase>``; of one with none of these the last training is the file's row.
        jobs: How many runs go at once, see :func:`run_all`.

    Returns:
        ``{row: [what results.json of each seed holds]}``.

    Raises:
        ValueError: If there is not one split for each seed, two files share a name, or a phase
            is no training of any file.
        RuntimeError: As :func:`run_all`.
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
    planned = {}
    for seed, split in zip(seeds, splits, strict=True):  # rows of a seed share its rendering
        for row, path in rows.items():
            save_dir = Path(folder, row, f"seed_{seed}")
            own = [*overrides, "train.seed", str(seed), "data.save_dir", str(save_dir)]
            own += [] if split is None else ["data.split_id", str(split)]
            planned[row, seed] = (path, own)
    done = run_all(planned.values(), jobs)
    runs = defaultdict(list)
    for (row, _), trainings in zip(planned, done, strict=True):
        named = {name: trainings[name] for name in phases if name in trainings}
        for name, results in named.items():
            runs[f"{row}/{name}"].append(_tested_on_source(results))
        if not named:
            runs[row].append(_tested_on_source([*trainings.values()][-1]))
    return dict(runs)


def run_all(runs, jobs=1):
    """Runs configurations, unless their folders hold their results already.

    Args:
        runs: ``(path, [key, value, ...])`` of each.
        jobs: How many go at once, on a CPU with an equal share of its threads each, on several
            GPUs by turns. With one, what it prints is shown.

    Returns:
        For each run what :func:`finished_trainings` says.

    Raises:
        RuntimeError: If a run fails, with its message; others that had begun are finished first.
    """
    runs = [*runs]
    todo = [run for run in runs if finished_trainings(load_config(*run)) is None]
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_run, run, slot, jobs) for slot, run in enumerate(todo)]
        try:
            for future in progress(as_completed(futures), "comparison", len(futures), "run"):
                future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [finished_trainings(load_config(*run)) for run in runs]


def _run(run, slot, jobs):
    path, overrides = run
    command = [sys.executable, "-m", __name__, str(path), *overrides]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if jobs > 1 and torch.cuda.device_count() > 1:
        environment["CUDA_VISIBLE_DEVICES"] = str(slot % torch.cuda.device_count())
    elif jobs > 1:
        environment["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // jobs))
    hidden = {} if jobs == 1 else {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    done = subprocess.run(command, env=environment, text=True, check=False, **hidden)
    if done.returncode:
        message = done.stderr or "its own message is above."
        raise RuntimeError(f"A run of {path} ended with status {done.returncode}: {message}")


def _tested_on_source(results):
    """Results on a completed copy, under the name of the dataset it is a copy of."""
    targets = {}
    for name, found in results["targets"].items():
        path = results["config"]["data"].get("options", {}).get(name, {}).get("path")
        manifest = Path(path, MANIFEST) if path else None
        if manifest is not None and manifest.exists():
            name = json.loads(manifest.read_text(encoding="utf-8"))["source"]["name"]
        targets[name] = found
    return {**results, "targets": targets}


def main():
    """Runs one configuration; torchreid's own engine cannot go on with a run and starts anew."""
    path, *overrides = sys.argv[1:]
    config = load_config(path, overrides)
    save_dir = Path(config.data.save_dir)
    if config.engine == "torchreid" and not (save_dir / "results.json").exists():
        shutil.rmtree(save_dir, ignore_errors=True)
    trainings_of(config, resume=True)


if __name__ == "__main__":
    main()
