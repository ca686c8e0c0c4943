"""What a command says: records and warnings as lines, a user's error as one, a bug in full."""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tqdm import tqdm

USER_ERRORS = (
    FloatingPointError,  # a loss diverged
    ImportError,
    KeyError,
    MemoryError,
    OSError,
    ValueError,
)
# By name, as the modules that define them import torch.
USER_ERRORS_BY_NAME = {"OutOfMemoryError", "WeightsUnavailable"}
BUG = (
    "This is likely a bug in torchreid_occ. Please report it with the lines above and those of "
    "`torchreid-occ doctor`: see 'How to report' in CONTRIBUTING.md."
)


@contextmanager
def short_warnings() -> Iterator[None]:
    """Shows each warning as one line, without the file and the line of Python that gave it."""
    before, warnings.formatwarning = warnings.formatwarning, _one_line_warning
    try:
        yield
    finally:
        warnings.formatwarning = before


@contextmanager
def shown_records() -> Iterator[None]:
    """Shows what the package logs, such as the progress where there is no terminal, on stderr.

    A run has a log of its own, which is shown on stdout instead.
    """
    logger, root, handler = logging.getLogger("torchreid_occ"), logging.getLogger(), _Handler()
    level = logger.level
    root.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        root.removeHandler(handler)


class _Handler(logging.Handler):
    """Prints records above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def _one_line_warning(message: Warning | str, *_place: object, **_line: object) -> str:
    return f"Warning: {' '.join(str(message).split())}\n"


@contextmanager
def short_errors(
    *also: type[Exception],
    flags: Mapping[str, str] | None = None,
    interrupted: str = "Interrupted.",
) -> Iterator[None]:
    """Ends the command with one line for a user's error; a bug keeps its traceback.

    Args:
        *also: Further errors that are the user's in this command.
        flags: How the command line says what the library's errors name, such as
            ``{"resume=True": "--resume DIR"}``.
        interrupted: The line after Ctrl-C.

    Raises:
        SystemExit: Instead of any error.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(interrupted)
    except BrokenPipeError:  # the pager that the output went to was closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if isinstance(error, also) or is_users(error):
            sys.exit(one_line(error, flags or {}))
        traceback.print_exc()
        sys.exit(BUG)


def is_users(error: Exception) -> bool:
    """Returns whether the user can mend what an error is about.

    The library's own KeyErrors hold a sentence: one with a bare key is a bug. So is an import that
    fails within this package.

    Args:
        error: The error.
    """
    if isinstance(error, KeyError):
        return " " in str(error.args[0] if error.args else "")
    if isinstance(error, ImportError) and (error.name or "").startswith("torchreid_occ"):
        return False
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, USER_ERRORS) or bool(names & USER_ERRORS_BY_NAME)


def one_line(error: Exception, flags: Mapping[str, str]) -> str:
    """Returns the message of an error.

    Args:
        error: The error.
        flags: As for `short_errors`.
    """
    message = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if "Original Traceback" in message:  # from a worker process: its own message comes last
        message = message.strip().splitlines()[-1]
    named = [flag for name, flag in flags.items() if name in message]
    hint = f" On the command line: {', '.join(named)}." if named else ""
    if isinstance(error, ModuleNotFoundError):
        hint += " (`torchreid-occ doctor` shows all that this machine lacks.)"
    return f"error: {message or type(error).__name__}{hint}"
