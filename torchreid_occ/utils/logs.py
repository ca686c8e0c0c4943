"""One log for a run: to the console and to ``<save_dir>/run.log``."""

import contextlib
import io
import logging
import sys
import warnings
from pathlib import Path

from tqdm import tqdm

from torchreid_occ.utils.processes import is_first_process

logger = logging.getLogger("torchreid_occ")


class _ConsoleHandler(logging.Handler):
    """Prints above a progress bar instead of through it."""

    def __init__(self):
        super().__init__()
        # Today's stream: while torchreid's prints are caught, sys.stdout leads back to the log.
        self._stdout = sys.stdout

    def emit(self, record):
        stream = sys.stderr if record.levelno >= logging.WARNING else self._stdout
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = self.format(record).encode(encoding, "backslashreplace").decode(encoding)
        tqdm.write(text, file=stream)
        stream.flush()


@contextlib.contextmanager
def logging_to(save_dir):
    """Logs a run to the console and, appended, to ``<save_dir>/run.log``; warnings included."""
    if not is_first_process():  # which speaks for all
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
        # The console gets the message from whoever catches it; an unattended run has its log.
        failure = (logger.name, logging.ERROR, __file__, 0, "The run stopped.", None)
        file.emit(logger.makeRecord(*failure, sys.exc_info()))
        raise
    finally:
        logging.captureWarnings(False)
        warnings.formatwarning = formatwarning
        for target in targets:
            target.removeHandler(console)
            target.removeHandler(file)
            target.propagate = True
        file.close()


def _message_only(message, category, *_, **__):
    """A warning as users want it: without the place in the code."""
    return f"Warning: {message}"


@contextlib.contextmanager
def printed_lines_logged():
    """Sends what torchreid prints to the log, a record a line."""
    with contextlib.redirect_stdout(_LogWriter()):
        yield


class _LogWriter(io.TextIOBase):
    """A text stream whose lines become log records."""

    def __init__(self):
        self._rest = ""

    def write(self, text):
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                logger.info(line.rstrip())
        return len(text)
