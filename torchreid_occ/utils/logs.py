"""The log of a run, on the console and in ``<save_dir>/run.log``."""

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from torchreid_occ._types import StrPath
from torchreid_occ.utils.processes import is_first_process

logger = logging.getLogger("torchreid_occ")


class _ConsoleHandler(logging.Handler):
    """Prints records above a progress bar."""

    def __init__(self) -> None:
        super().__init__()
        # Kept, as `printed_lines_logged` replaces sys.stdout by a stream that writes to the log.
        self._stdout = sys.stdout

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr if record.levelno >= logging.WARNING else self._stdout
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = self.format(record).encode(encoding, "backslashreplace").decode(encoding)
        tqdm.write(text, file=stream)
        stream.flush()


@contextlib.contextmanager
def logging_to(save_dir: StrPath) -> Iterator[None]:
    """Logs records and warnings to the console and appends them to ``<save_dir>/run.log``.

    Args:
        save_dir: Folder of the run.
    """
    if not is_first_process():  # rank 0 writes the log
        logger.setLevel(logging.CRITICAL)
        yield
        return
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    console = _ConsoleHandler()
    console.setFormatter(logging.Formatter("%(message)s"))
    file = logging.FileHandler(
        Path(save_dir) / "run.log", encoding="utf-8", errors="backslashreplace"
    )
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    targets = (logger, logging.getLogger("py.warnings"))
    logging.captureWarnings(True)
    formatwarning, warnings.formatwarning = warnings.formatwarning, _message_only
    for target in targets:
        target.addHandler(console)
        target.addHandler(file)
        target.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield
    except BaseException:
        # Only to the file: the caller prints the error on the console.
        message = "The run stopped."
        file.emit(
            logger.makeRecord(logger.name, logging.ERROR, __file__, 0, message, (), sys.exc_info())
        )
        raise
    finally:
        logging.captureWarnings(False)
        warnings.formatwarning = formatwarning
        for target in targets:
            target.removeHandler(console)
            target.removeHandler(file)
            target.propagate = True
        file.close()


def _message_only(message: Warning | str, *_place: object, **_line: object) -> str:
    """Formats a warning without the place in the code."""
    return f"Warning: {message}"


@contextlib.contextmanager
def printed_lines_logged() -> Iterator[None]:
    """Redirects printed lines, which are torchreid's, to the log, a record a line."""
    with contextlib.redirect_stdout(_LogWriter()):
        yield


class _LogWriter(io.TextIOBase):
    """A text stream whose lines become log records."""

    def __init__(self) -> None:
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                logger.info(line.rstrip())
        return len(text)
