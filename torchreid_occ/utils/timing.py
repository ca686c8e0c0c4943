"""Times things against each other on a machine that is never quiet."""

import statistics
import time

import torch

from torchreid_occ.utils.progress import progress


def median_seconds(steps, repeats, title):
    """Times steps in turns, so that whatever else the machine does meets all of them.

    Args:
        steps: Functions without arguments, by name.
        repeats: Rounds that count; one more warms up.
        title: What the progress bar says.

    Returns:
        `{name: seconds}`, medians over the rounds.
    """
    times = {name: [] for name in steps}
    for repeat in progress(range(repeats + 1), title, unit="round"):
        for name, step in steps.items():
            seconds = _seconds(step)
            if repeat:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def _seconds(step):
    _synchronize()
    start = time.perf_counter()
    step()
    _synchronize()
    return time.perf_counter() - start


def _synchronize():
    if torch.cuda.is_available():
        torch.cuda.synchronize()
