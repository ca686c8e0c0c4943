"""Trains configurations side by side over seeds.

Each run is a process of its own, ``python -m torchreid_occ.studies.comparison_runs FILE [KEY VALUE
...]``, so that several run at once and the memory of each is freed at its end.
"""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeAlias

import torch

from torchreid_occ._types import StrPath
from torchreid_occ.config import configuration_name, configurations, load_config
from torchreid_occ.data.copies import MANIFEST
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.folder import RESULTS
from torchreid_occ.runs.phases import Results, finished_trainings, trainings_of
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.errors import short_errors, short_warnings, shown_records
from torchreid_occ.utils.progress import progress

# By row of the comparison, the results of each seed.
Runs: TypeAlias = dict[str, list[Results]]
# A configuration file and [key, value, ...] on top of it.
Plan: TypeAlias = tuple[StrPath, Sequence[str]]


def run_suite(
    paths: Sequence[StrPath],
    seeds: Sequence[int],
    splits: Sequence[int] | None,
    folder: StrPath,
    overrides: Sequence[str] = (),
    phases: Sequence[str] = (),
    jobs: int = 1,
    pretrain: StrPath | None = None,
) -> Runs:
    """Runs every configuration with every seed; finished runs are read, interrupted ones continued.

    Args:
        paths: Configuration files, or rows as ``file.yaml#row``; a file with rows stands for all
            of them. Each is a row of the tables, named by its stem or its row.
        seeds: Values of ``train.seed``.
        splits: ``data.split_id`` of each seed; None keeps the configured one.
        folder: Runs go to ``<folder>/<row>/seed_<seed>``.
        overrides: ``[key, value, ...]`` on top of every configuration.
        phases: Names of phases that become a row each, named ``<file>/<phase>``; a configuration
            that has none of them gives one row, of its last training.
        jobs: Number of runs at once, see :func:`run_all`.
        pretrain: A configuration file to run before the others; None runs none.

    Returns:
        ``{row: [results of each seed]}``.

    Raises:
        ValueError: If there is not one split for each seed, two files share a name, a phase is no
            training of any file, or `jobs` is less than 1; before anything is run.
        RuntimeError: As :func:`run_all`.
    """
    files = [file for path in paths for file in configurations(path)]
    rows = {configuration_name(file): file for file in files}
    if len(rows) < len(files):
        raise ValueError(f"Received {files}: give each file a name of its own.")
    split_of_seed: Sequence[int | None] = [None] * len(seeds) if splits is None else splits
    if len(split_of_seed) != len(seeds):
        raise ValueError(
            f"Received {len(split_of_seed)} splits for {len(seeds)} seeds: give one for each."
        )
    if jobs < 1:
        raise ValueError(f"Received {jobs} jobs, but expected 1 or more.")
    _check_phases(rows.values(), phases)
    planned: dict[tuple[str, int], Plan] = {}
    for seed, split in zip(seeds, split_of_seed, strict=True):  # rows of a seed share its rendering
        for row, path in rows.items():
            save_dir = Path(folder, row, f"seed_{seed}")
            own = [*overrides, "train.seed", str(seed), "data.save_dir", str(save_dir)]
            own += [] if split is None else ["data.split_id", str(split)]
            planned[row, seed] = (path, own)
    if pretrain is not None:
        run_all([(pretrain, overrides)])
    done = run_all(planned.values(), jobs)
    runs: Runs = defaultdict(list)
    for (row, _), trainings in zip(planned, done, strict=True):
        named = {name: trainings[name] for name in phases if name in trainings}
        for name, results in named.items():
            runs[f"{row}/{name}"].append(_tested_on_source(results))
        if not named:
            runs[row].append(_tested_on_source([*trainings.values()][-1]))
    return dict(runs)


def run_all(runs: Iterable[Plan], jobs: int = 1) -> list[dict[str | None, Results]]:
    """Runs configurations, unless their folders hold their results already.

    Args:
        runs: ``(path, [key, value, ...])`` of each.
        jobs: Number of runs at once: on a CPU each gets an equal share of its threads, several
            GPUs are assigned in rotation. With 1, the output of the runs is shown.

    Returns:
        The result of :func:`~torchreid_occ.runs.phases.finished_trainings` for each run.

    Raises:
        RuntimeError: If a run fails, with its message; runs already started are finished first.
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
    return [_finished(run) for run in runs]


def _check_phases(paths: Iterable[StrPath], phases: Sequence[str]) -> None:
    known = {
        phase["name"]
        for config in map(load_config, paths)
        for phase in config.phases
        if phase.get("task", config.task) == "train"
    }
    if not set(phases) <= known:
        raise ValueError(
            f"Received phases {[*phases]}, but the phases that train are {sorted(known)}."
        )


def _finished(run: Plan) -> dict[str | None, Results]:
    trainings = finished_trainings(load_config(*run))
    assert trainings is not None, f"{run} left no results"
    return trainings


def _run(run: Plan, slot: int, jobs: int) -> None:
    path, overrides = run
    command = [sys.executable, "-m", __name__, str(path), *overrides]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if jobs > 1 and (count := torch.cuda.device_count()) > 1:
        listed = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
        environment["CUDA_VISIBLE_DEVICES"] = listed.split(",")[slot % count]
    elif jobs > 1:
        environment["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // jobs))
    stdout, stderr = (None, None) if jobs == 1 else (subprocess.DEVNULL, subprocess.PIPE)
    done = subprocess.run(
        command, env=environment, text=True, check=False, stdout=stdout, stderr=stderr
    )
    if done.returncode:
        message = done.stderr or "its own message is above."
        raise RuntimeError(f"A run of {path} ended with status {done.returncode}: {message}")


def _tested_on_source(results: Results) -> Results:
    """Renames a completed copy among the targets to the dataset it is a copy of."""
    targets = {}
    for name, found in results["targets"].items():
        path = results["config"]["data"].get("options", {}).get(name, {}).get("path")
        manifest = Path(path, MANIFEST) if path else None
        if manifest is not None and manifest.exists():
            name = read_json(manifest)["source"]["name"]
        targets[name] = found
    return {**results, "targets": targets}


def main() -> None:
    """Runs one configuration; a run that cannot be resumed starts anew."""
    path, *overrides = sys.argv[1:]
    with short_errors(), short_warnings(), shown_records():
        config = load_config(path, overrides)
        save_dir = Path(config.data.save_dir)
        if not backend_of(config).can_resume and not (save_dir / RESULTS).exists():
            shutil.rmtree(save_dir, ignore_errors=True)
        trainings_of(config, resume=True)


if __name__ == "__main__":
    main()
