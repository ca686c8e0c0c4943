"""Progress of long work: a bar on a terminal, a line of the log now and then elsewhere."""

import sys
import time

from tqdm import tqdm

from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.processes import is_first_process

SECONDS_BETWEEN_LINES = 30


def progress(iterable, description, total=None, unit="it"):
    """Passes items on and shows how far it is; work of less than a second shows nothing.

    Args:
        iterable: The items.
        description: What is being done.
        total: Number of items, if the iterable does not know; without, none is shown.
        unit: What an item is.
    """
    if not is_first_process():
        return iterable
    if sys.stderr.isatty():
        return tqdm(iterable, description, total, unit=unit, delay=1, leave=False)
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    return _logged(iterable, description, total, unit)


def _logged(iterable, description, total, unit):
    last = time.monotonic()
    for done, item in enumerate(iterable):
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            of_all = "" if total is None else f" of {total}"
            logger.info("%s: %s %d%s", description, unit, done, of_all)
        yield item
