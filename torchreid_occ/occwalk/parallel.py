"""Rendering in several processes.

Workers are started as commands of their own. The `multiprocessing` module would import the user's
script once more in each of them, which only scripts with a `__main__` guard survive, and threads
take turns at Python's lock.
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
from typing import IO

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
    bar: tqdm,
    lock: IO,
):
    """Renders tracklets in worker processes, each taking the next one when it has finished one.

    Args:
        partial: Folder of the unfinished rendering.
        specs: The tracklets.
        preset: Size of the frames.
        seed: Seed of the rendering.
        workers: Number of processes.
        bar: Counts frames.
        lock: Open lock file. The workers share it, so that nobody else starts while one lives.

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


def _drive(job, todo, bar, lock):
    """Feeds one worker until nothing is left to do."""
    with subprocess.Popen(
        [sys.executable, "-m", WORKER, job],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # nothing is left to flush into a worker that has ended
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        pass_fds=(lock.fileno(),),
    ) as worker:
        while todo:
            try:
                spec = todo.popleft()
            except IndexError:  # another driver was quicker
                return
            with suppress(BrokenPipeError):  # if it has ended, reading tells
                worker.stdin.write(b"%d\n" % spec.uid)
            if not any(line.strip() == b"%d" % spec.uid for line in worker.stdout):
                worker.wait()
                raise RuntimeError(
                    f"A rendering process ended with status {worker.returncode} at tracklet "
                    f"{spec.folder}; its own message is above."
                )
            bar.update(spec.num_frames)
