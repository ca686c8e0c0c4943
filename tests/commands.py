"""Runs the tools of the repository as commands, without each importing torch anew.

A server that has imported the package forks a process for every command. What the command is given
and leaves is as on a command line: arguments, environment, working directory, streams, exit status.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support import REPOSITORY

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["torchreid_occ.runs", "torchreid_occ.visualization.rfcnet"])
TIMEOUT = 300


def run_tool(name, *arguments, env=None):
    """Runs ``tools/<name>`` in the repository and returns a `subprocess.CompletedProcess`."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, stream) for stream in ("stdout", "stderr")]
        process = _start(name, arguments, streams, env)
        process.join(TIMEOUT)
        if process.exitcode is None:
            os.killpg(process.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(process.name, TIMEOUT)
        output = [stream.read_text(encoding="utf-8") for stream in streams]
    return subprocess.CompletedProcess(arguments, process.exitcode, *output)


def start_and_kill(arguments, awaited, pause=0.0, tool="main.py"):
    """Starts a tool and kills it, and its workers, soon after a file is there."""
    process = _start(tool, arguments, [os.devnull, os.devnull])
    deadline = time.monotonic() + TIMEOUT
    while not awaited.exists():
        assert process.is_alive(), f"the run ended before {awaited} was there"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(pause)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()


def _start(name, arguments, streams, env=None):
    words = [str(REPOSITORY / "tools" / name), *map(str, arguments)]
    environment = dict(os.environ if env is None else env)
    process = _FORKS.Process(target=_run, args=(words, environment, streams), name=name)
    process.start()
    return process


def _run(words, environment, streams):
    os.setsid()  # one can kill it with all its workers
    for number, stream in enumerate(streams, start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    sys.argv = words
    sys.path[0] = str(Path(words[0]).parent)
    runpy.run_path(words[0], run_name="__main__")
