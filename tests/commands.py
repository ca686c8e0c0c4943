"""Runs the command `torchreid-occ`, and scripts, without importing torch anew each time.

A server that has imported what trainings need forks a process for every command. What the command
is given and leaves is as on a command line: arguments, environment, working directory, streams,
exit status.
"""

import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from support import REPOSITORY

from torchreid_occ_command import main

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["torchreid_occ.cli.train", "torchreid_occ.runs.splits"])
TIMEOUT = 300


def run_command(*words, env=None):
    """Runs ``torchreid-occ`` in the repository and returns a `subprocess.CompletedProcess`."""
    return _finished(main, ["torchreid-occ", *words], env)


def train(*words, check=True, env=None):
    """Runs ``torchreid-occ train``, and raises `AssertionError` with its output if it fails."""
    done = run_command("train", *words, env=env)
    if check and done.returncode:
        raise AssertionError(f"{done.stdout}\n{done.stderr}")
    return done


def run_script(path, *words, env=None):
    """Runs ``python path words`` in the repository and returns a `subprocess.CompletedProcess`."""
    return _finished(partial(_run_script, str(path)), [path, *words], env)


def run_module(name, *words, env=None):
    """Runs ``python -m name words`` in the repository; returns a `subprocess.CompletedProcess`."""
    return _finished(partial(runpy.run_module, name, run_name="__main__"), [name, *words], env)


def run_in_processes(processes, path, *words):
    """Runs ``python path words`` in processes that form a group, as those of torchrun do.

    Returns:
        A `subprocess.CompletedProcess` of each rank.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}

    def run(rank):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
        return run_script(path, *words, env={**os.environ, **group, **own})

    with ThreadPoolExecutor(processes) as pool:
        return [*pool.map(run, range(processes))]


def run_after_torch(code, *words, cwd, env=None):
    """Runs ``python -c code words`` where torch is imported already and torchreid is not."""
    return _finished(partial(_run_code, code), ["-c", *words], env, cwd)


def start_and_kill(words, awaited, pause=0.0):
    """Starts a command and kills it, and its workers, soon after a file is there."""
    process = start(main, os.devnull, ["torchreid-occ", *words])
    deadline = time.monotonic() + TIMEOUT
    while not awaited.exists():
        assert process.is_alive(), f"the run ended before {awaited} was there"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(pause)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()


def start(function, output, words=("",), env=None, cwd=REPOSITORY, errors=None):
    """Starts a forked process that calls a function.

    Args:
        function: What it calls; one can pickle it.
        output: The file of its output.
        words: Its `sys.argv`.
        env: Its environment, by default this process's.
        cwd: Its working directory.
        errors: The file of its errors, by default that of its output.

    Returns:
        The `multiprocessing.Process`, which leads a process group.
    """
    words = [*map(str, words)]
    environment = dict(os.environ if env is None else env)
    arguments = (function, words, environment, [output, errors or output], cwd)
    process = _FORKS.Process(target=_run, args=arguments, name=words[0])
    process.start()
    return process


def _finished(function, words, env=None, cwd=REPOSITORY):
    """Calls a function in a forked process, with words as `sys.argv`, and waits for its end."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = (Path(folder, stream) for stream in ("stdout", "stderr"))
        process = start(function, output, words, env, cwd, errors)
        process.join(TIMEOUT)
        if process.exitcode is None:
            os.killpg(process.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(process.name, TIMEOUT)
        texts = [stream.read_text(encoding="utf-8") for stream in (output, errors)]
    return subprocess.CompletedProcess(words, process.exitcode, *texts)


def _run(function, words, environment, streams, cwd):
    os.setsid()  # one can kill it with all its workers
    multiprocessing.set_start_method(None, force=True)  # its workers start as on a command line
    for number, stream in enumerate(streams, start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = words
    function()


def _run_script(path):
    sys.path[0] = str(Path(path).parent.absolute())
    runpy.run_path(path, run_name="__main__")


def _run_code(code):
    for name in [*sys.modules]:
        if name.startswith("torchreid"):
            del sys.modules[name]
    sys.path[0] = ""
    exec(code, {"__name__": "__main__"})
