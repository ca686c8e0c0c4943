"""Comparison of the time that functions take."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch

from torchreid_occ.utils.progress import progress


def median_seconds(
    steps: Mapping[str, Callable[[], object]], repeats: int, title: str
) -> dict[str, float]:
    """Measures the median seconds of functions, interleaved.

    Interleaving makes the machine's background load affect all functions equally.

    Args:
        steps: Functions without arguments, by name.
        repeats: Rounds that count; one more round before them warms up.
        title: Title of the progress bar.

    Returns:
        Seconds by name.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in progress(range(repeats + 1), title, unit="round"):
        for name, step in steps.items():
            seconds = _seconds(step)
            if repeat:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def _seconds(step: Callable[[], object]) -> float:
    _synchronize()
    start = time.perf_counter()
    step()
    _synchronize()
    return time.perf_counter() - start


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
