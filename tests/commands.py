"""Runs the command `torchreid-occ` without importing torch anew each time.

A server that has imported the package forks a process for every command. What the command is given
and leaves is as on a command line: arguments, environment, working directory, streams, exit status.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support import REPOSITORY

from torchreid_occ_command import main

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["torchreid_occ.runs", "torchreid_occ.visualization.rfcnet"])
TIMEOUT = 300


def run_command(*words, env=None):
    """Runs ``torchreid-occ`` in the repository and returns a `subprocess.CompletedProcess`."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, stream) for stream in ("stdout", "stderr")]
        process = _start(words, streams, env)
        process.join(TIMEOUT)
        if process.exitcode is None:
            os.killpg(process.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(process.name, TIMEOUT)
        output = [stream.read_text(encoding="utf-8") for stream in streams]
    return subprocess.CompletedProcess(words, process.exitcode, *output)


def start_and_kill(words, awaited, pause=0.0):
    """Starts a command and kills it, and its workers, soon after a file is there."""
    process = _start(words, [os.devnull, os.devnull])
    deadline = time.monotonic() + TIMEOUT
    while not awaited.exists():
        assert process.is_alive(), f"the run ended before {awaited} was there"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(pause)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()


def _start(words, streams, env=None):
    words = [*map(str, words)]
    environment = dict(os.environ if env is None else env)
    process = _FORKS.Process(target=_run, args=(words, environment, streams), name=words[0])
    process.start()
    return process


def _run(words, environment, streams):
    os.setsid()  # one can kill it with all its workers
    for number, stream in enumerate(streams, start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    sys.argv = ["torchreid-occ", *words]
    main()
