"""Rendering in several processes.

Workers are started by subprocess: the `multiprocessing` module would import the user's script again
in each, which fails for scripts without a `__main__` guard, and threads would wait for Python's
lock.
"""

import json
import os
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from torchreid_occ.occwalk.presets import Preset
from torchreid_occ.occwalk.protocol import TrackletSpec

WORKER = "torchreid_occ.occwalk.worker"


def render_in_workers(
    partial: Path,
    specs: list[TrackletSpec],
    preset: Preset,
    seed: int,
    workers: int,
    bar: "tqdm[Any]",
    lock: IO[str],
) -> None:
    """Renders tracklets in worker processes; each takes the next tracklet when it is idle.

    Args:
        partial: Folder of the unfinished rendering.
        specs: The tracklets.
        preset: Size of the frames.
        seed: Seed of the rendering.
        workers: Number of processes.
        bar: Progress in frames.
        lock: Open lock file. The workers inherit it, so that it is held while one of them runs.

    Raises:
        RuntimeError: If a worker ends before its work is done.
    """
    todo = deque(specs)
    job = json.dumps({"partial": str(partial), "preset": asdict(preset), "seed": seed})
    with ThreadPoolExecutor(workers) as pool:
        drivers = [pool.submit(_drive, job, todo, bar, lock) for _ in range(workers)]
        try:
            for driver in drivers:
                driver.result()
        finally:
            todo.clear()  # after an error or an interrupt the others stop too


def _drive(job: str, todo: deque[TrackletSpec], bar: "tqdm[Any]", lock: IO[str]) -> None:
    """Gives one worker tracklets until none is left."""
    with subprocess.Popen(
        [sys.executable, "-m", WORKER, job],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # so that nothing is flushed into a worker that has ended
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        pass_fds=(lock.fileno(),),
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        while todo:
            try:
                spec = todo.popleft()
            except IndexError:  # another driver took the last one
                return
            with suppress(BrokenPipeError):  # the worker has ended, as is found below
                worker.stdin.write(b"%d\n" % spec.uid)
            if not any(line.strip() == b"%d" % spec.uid for line in worker.stdout):
                worker.wait()
                raise RuntimeError(
                    f"A rendering process ended with status {worker.returncode} at tracklet "
                    f"{spec.folder}; its own message is above."
                )
            bar.update(spec.num_frames)
