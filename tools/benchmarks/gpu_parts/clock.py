"""Times and memory of work on either device."""

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterator

import torch

SHORTEST_ROUND = 5e-3  # seconds; shorter work is repeated within a round


def median_seconds(step: Callable[[], object], device: str, rounds: int = 7) -> float:
    """Times a step once it is warm.

    On a GPU calls follow one another without a wait and events are around them, so that the time
    to launch one hides behind the one before it, as in a network.

    Args:
        step: What is timed.
        device: 'cuda' or 'cpu'.
        rounds: Measurements, of which the median is taken; one on a CPU is a single call.

    Returns:
        Seconds of one call.
    """
    if device == "cpu":
        step()
        return statistics.median(_wall_seconds(step) for _ in range(rounds))
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    once = _wall_seconds(step)
    calls = max(1, min(50, round(SHORTEST_ROUND / once)))
    return statistics.median(_event_seconds(step, calls) for _ in range(rounds))


def synchronize(device: str) -> None:
    """Waits until the device has done all it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_mebibytes(step: Callable[[], object], device: str) -> float | None:
    """Measures the memory that a step takes on a GPU beyond what was taken before it.

    Returns:
        MiB of PyTorch's allocator, or None on a CPU.
    """
    if device == "cpu":
        return None
    free_memory(device)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def free_memory(device: str) -> None:
    """Gives back what no tensor needs any more."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


@contextlib.contextmanager
def matrix_precision(name: str) -> Iterator[None]:
    """Lets matrix products and convolutions compute in TF32 for 'tf32', exactly otherwise."""
    settings = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [setting.allow_tf32 for setting in settings]
    for setting in settings:
        setting.allow_tf32 = name == "tf32"
    try:
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.allow_tf32 = value


def _wall_seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _event_seconds(step: Callable[[], object], calls: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(calls):
        step()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3 / calls
