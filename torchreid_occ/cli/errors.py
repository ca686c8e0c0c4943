"""How a command ends: a user's error is one line, a bug keeps its traceback."""

import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

USER_ERRORS: tuple[type[Exception], ...] = (
    FloatingPointError,  # a loss diverged
    ImportError,
    KeyError,
    MemoryError,
    OSError,
    ValueError,
    torch.OutOfMemoryError,
)
BUG = (
    "This is likely a bug in torchreid_occ. Please report it with the lines above: see "
    "'How to report' in CONTRIBUTING.md."
)


@contextmanager
def short_errors(*also: type[Exception], flags: Mapping[str, str] | None = None) -> Iterator[None]:
    """Ends the command with one line for a user's error; a bug keeps its traceback.

    Args:
        *also: Further errors that are the user's in this command.
        flags: How the command line says what the library's errors name, such as
            ``{"resume=True": "--resume DIR"}``.

    Raises:
        SystemExit: Instead of any error.
    """
    expected = USER_ERRORS + also
    try:
        yield
    except expected as error:
        sys.exit(one_line(error, flags or {}))
    except Exception:
        traceback.print_exc()
        sys.exit(BUG)


def one_line(error: Exception, flags: Mapping[str, str]) -> str:
    """Returns the name and the message of an error.

    Args:
        error: The error.
        flags: As for `short_errors`.
    """
    message = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if "Original Traceback" in message:  # from a worker process: its own message comes last
        message = message.strip().splitlines()[-1]
    named = [flag for name, flag in flags.items() if name in message]
    hint = f" On the command line: {', '.join(named)}." if named else ""
    return f"{type(error).__name__}: {message}{hint}"
