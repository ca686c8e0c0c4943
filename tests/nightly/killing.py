"""Kills work at random points, continues it, and compares the results with uninterrupted work."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import NamedTuple

import torch
from pyarrow import parquet
from support import same

from nightly.audit import watch

# Files and keys of their content that differ between two runs of the same work.
_OWN_FILES = ("run.log", "events.out.tfevents.*", ".*.lock", "gallery.sqlite", "index-*.faiss")
_OWN_KEYS = {
    *("seconds", "training_seconds", "estimated_training_seconds", "inference"),
    *("save_dir", "folder", "footage", "commit"),
}
_MOST_KILLS = 4  # of one job before it may finish


class Report(NamedTuple):
    """Result of killing a job; `faults` is empty if all results were right."""

    kills: int
    at_file_changes: int
    completions: int
    faults: list[str]


def kill_repeatedly(job, folder, kills, seed):
    """Kills a job repeatedly, half of the times at a random change of a file.

    Args:
        job: A `Job`.
        folder: Folder to work in.
        kills: Number of kills.
        seed: Seed of the random points.
    """
    rng = random.Random(seed)
    start = time.monotonic()
    num_changes = _run(job, folder / "whole")
    seconds = time.monotonic() - start
    done = at_changes = completions = 0
    faults = []
    while done < kills:
        place = folder / f"killed_{completions}"
        for _ in range(min(rng.randint(1, _MOST_KILLS), kills - done)):
            kept = _kept(job, place)
            at_change = rng.randrange(num_changes) if rng.random() < 0.5 else None
            killed = _run(job, place, rng.uniform(0, seconds), at_change) is None
            faults += _lost(kept, _kept(job, place))
            if not killed:  # less work was left than before, so it finished
                break
            done += 1
            at_changes += at_change is not None
        kept = _kept(job, place)
        if _run(job, place) is None:
            faults.append("the work did not finish")
        faults += _lost(kept, _kept(job, place)) + _differences(folder / "whole", place)
        shutil.rmtree(place)
        completions += 1
    return Report(done, at_changes, completions, faults)


def _run(job, folder, seconds=None, at_change=None):
    """Runs a job in a subprocess; returns the number of changes of files, or None after a kill.

    Args:
        job: The `Job`.
        folder: Folder to work in.
        seconds: Time after which it is killed, unless `at_change` is given.
        at_change: Number of the change of a file before which it kills itself.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, folder, theirs, at_change))
    process.start()
    theirs.close()
    process.join(seconds if at_change is None else None)
    process.kill()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the work failed: {Path(f'{folder}.log').read_text()}")
    return ours.recv() if process.exitcode == 0 else None


def _work(job, folder, connection, at_change):
    log = os.open(f"{folder}.log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    changes = 0

    def on_change(path):
        nonlocal changes
        if folder == path or folder in path.parents:
            if changes == at_change:
                os.kill(os.getpid(), signal.SIGKILL)
            changes += 1

    watch(on_change)
    job.run(folder)
    connection.send(changes)


def _kept(job, folder):
    """Returns the files that must not change, with their time and size."""
    files = [file for pattern in job.kept for file in folder.glob(pattern)]
    return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in files}


def _lost(before, after):
    return [
        f"{file} {'was made again' if file in after else 'is gone'}"
        for file, stat in before.items()
        if after.get(file) != stat
    ]


def _differences(whole, killed):
    """Lists how the results of killed work differ from those of uninterrupted work."""
    expected, found = (
        {
            path.relative_to(place): path
            for path in place.rglob("*")
            if path.is_file() and not any(path.match(pattern) for pattern in _OWN_FILES)
        }
        for place in (whole, killed)
    )
    faults = [f"{path} is there, too" for path in found.keys() - expected.keys()]
    faults += [f"{path} is missing" for path in expected.keys() - found.keys()]
    faults += [
        f"{path} has another content"
        for path in found.keys() & expected.keys()
        if not same(_content(found[path], killed), _content(expected[path], whole))
    ]
    return faults


def _content(path, folder):
    """Reads a file without what depends on the folder and the time."""
    if ".pth" in path.name:
        return _without_own(torch.load(path, weights_only=True))
    if path.suffix == ".parquet":  # compressed
        return repr(parquet.read_table(path).to_pylist()).replace(str(folder), "")
    if path.suffix == ".json":
        return _without_own(json.loads(path.read_text()))
    return path.read_bytes().replace(os.fsencode(folder), b"")


def _without_own(value):
    if isinstance(value, dict):
        return {key: _without_own(part) for key, part in value.items() if key not in _OWN_KEYS}
    return [_without_own(part) for part in value] if isinstance(value, list) else value
