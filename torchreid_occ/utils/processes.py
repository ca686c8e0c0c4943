"""Distributed training: processes started by torchrun, each with its share of every batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")


@contextmanager
def joined_processes(use_gpu: bool) -> Iterator[None]:
    """Joins the process group if torchrun started several processes.

    Args:
        use_gpu: Whether each process takes the GPU of its local rank, if there are GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    gpu = use_gpu and torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def process_count() -> int:
    """Returns the number of processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def process_rank() -> int:
    """Returns the rank of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first_process() -> bool:
    """Returns True on rank 0, which writes files and logs."""
    return process_rank() == 0


def wait_for_all() -> None:
    """Waits until every process has called this function."""
    if process_count() > 1:
        distributed.barrier()


def gather_objects(value: T) -> list[T]:
    """Returns the values of all processes, in the order of their ranks.

    Args:
        value: This process's value, which must be picklable.
    """
    if process_count() == 1:
        return [value]
    found: list[Any] = [None] * process_count()
    distributed.all_gather_object(found, value)
    return found


def gather_rows(rows: Tensor) -> Tensor:
    """Returns the rows of all processes; gradients flow back to the process of each row.

    All processes then compute the same loss. Gradients are summed over the processes, as
    DistributedDataParallel takes the mean afterwards.

    Args:
        rows: This process's rows, as many as those of every other process.
    """
    if process_count() == 1:
        return rows
    gathered: Tensor = _GatheredRows.apply(rows)
    return gathered


class _GatheredRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        rows = rows.contiguous()
        parts = [torch.empty_like(rows) for _ in range(process_count())]
        distributed.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        upstream = upstream.contiguous()
        distributed.all_reduce(upstream)
        return upstream.chunk(process_count())[process_rank()]
