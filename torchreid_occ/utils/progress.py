"""Progress of long loops and the time left: a bar on a terminal, elsewhere a line in 30 seconds."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from datetime import timedelta
from typing import TypeVar

from tqdm import tqdm

from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.processes import is_first_process

SECONDS_BETWEEN_LINES = 30
T = TypeVar("T")


def progress(
    iterable: Iterable[T], description: str, total: int | None = None, unit: str = "it"
) -> Iterable[T]:
    """Passes items on and shows the progress; a loop shorter than a second shows nothing.

    Args:
        iterable: The items.
        description: Name of the work.
        total: Number of items, for an iterable without length; None shows the count alone.
        unit: Name of an item.
    """
    if not is_first_process():
        return iterable
    if sys.stderr.isatty():
        bar: Iterable[T] = tqdm(iterable, description, total, unit=unit, delay=1, leave=False)
        return bar
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    return _logged(iterable, description, total, unit)


def _logged(iterable: Iterable[T], description: str, total: int | None, unit: str) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(iterable):
        now = time.monotonic()
        if now - last > SECONDS_BETWEEN_LINES:
            last = now
            of_all = ""
            if total is not None:
                left = (now - start) / max(done, 1) * (total - done)
                of_all = f" of {total}, about {timedelta(seconds=round(left))} left"
            logger.info("%s: %s %d%s", description, unit, done, of_all)
        yield item
