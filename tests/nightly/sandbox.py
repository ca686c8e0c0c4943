"""A forked process that reads malformed files one by one and may hang, crash or misbehave."""

import contextlib
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

from nightly.audit import watch
from torchreid_occ.utils.logs import logger

SECONDS = 10  # an input
GIBIBYTES = 4  # of address space beyond what the process starts with
FOLDER = "a folder é"

READ, REFUSED = "read", "refused"  # all other outcomes are failures


class Outcome(NamedTuple):
    """Result of reading an input: a kind, and for a failure where and why."""

    kind: str
    detail: str = ""


class Sandbox:
    """Reads inputs in a subprocess, which is restarted after a hang or a crash.

    Args:
        reader: A `Reader`.
    """

    def __init__(self, reader):
        self.reader, self.process = reader, None

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="hard-use-"))
        return self

    def __exit__(self, *_):
        self._stop()
        shutil.rmtree(self.folder)

    def outcome(self, content):
        """Has the reader read a file with this content."""
        if self.process is None:
            self._start()
        self.connection.send_bytes(content)
        if not self.connection.poll(SECONDS):
            self._stop()
            return Outcome("hang", f"no answer in {SECONDS} s")
        try:
            return Outcome(*self.connection.recv())
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            self._stop()
            return Outcome("crash", f"the process ended with status {code}")

    def _start(self):
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        arguments = (self.reader, self.folder, theirs)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def _stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
            self.process = None


def _serve(reader, folder, connection):
    """Answers each content with an outcome."""
    _limit_memory()
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    logger.disabled = True
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(silence, stream)
    escapes = []

    def refuse(what):
        escapes.append(str(what))
        raise PermissionError(f"{what} is outside")

    def on_change(path):
        if folder not in path.parents:
            refuse(path)

    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    watch(on_change, None if reader.starts_processes else refuse)
    while True:
        try:
            content = connection.recv_bytes()
        except EOFError:
            return
        escapes.clear()
        outcome = _outcome(reader, Path(folder, FOLDER), content)
        if escapes:
            outcome = Outcome("escape", escapes[0])
        connection.send(tuple(outcome))


def _outcome(reader, folder, content):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    reader.prepare(folder)
    path = folder / reader.file
    path.write_bytes(content)
    before = _stat(folder)
    try:
        reader.read(path)
        outcome = Outcome(READ)
    except (ValueError, KeyError, OSError) as error:
        message = str(error.args[0]) if isinstance(error, KeyError) else str(error)
        named = str(path) in message
        outcome = Outcome(REFUSED) if named else Outcome("unnamed", _origin(error))
    except AssertionError as error:
        outcome = Outcome("wrong", _origin(error))
    except BaseException as error:
        outcome = Outcome("error", _origin(error))
    after = _stat(folder)
    changed = [name for name, was in before.items() if after.get(name) != was]
    return Outcome("changed", str(changed)) if changed else outcome


def _stat(folder):
    """Returns size and time of all files in a folder, without following links."""
    found = {}
    for place, _, files in os.walk(folder):
        for name in files:
            about = Path(place, name).lstat()
            found[str(Path(place, name))] = (about.st_size, about.st_mtime_ns, about.st_ino)
    return found


def _origin(error):
    """Returns the type of an error and the innermost line of the package in its traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "torchreid_occ" in frame.filename] or frames
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno} ({own[-1].name})"
    return f"{type(error).__name__} at {place}"


def _limit_memory():
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
        limit = used + GIBIBYTES * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
