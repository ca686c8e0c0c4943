"""Work in threads, for functions that release Python's lock, with few items in memory at once."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Returns on how many cores this process may run."""
    allowed: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def ahead(items: Iterator[T], number: int) -> Generator[T, None, None]:
    """Yields the items of an iterator that runs in a thread, some items before they are needed.

    Args:
        items: The iterator.
        number: How many items wait at most.
    """
    end: Any = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, end) for _ in range(number))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, items, end))
                yield item
        finally:
            _cancel(waiting)


def map_in_threads(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Yields a function's results in the order of the items, which are taken a few ahead.

    Args:
        function: What the threads run.
        items: Its arguments, taken in the caller's thread: two for each worker wait at most.
        workers: Number of threads.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            _cancel(waiting)


def _cancel(waiting: deque[Future[Any]]) -> None:
    """Cancels what has not begun, so that the end of a pool waits for little."""
    for future in waiting:
        future.cancel()
