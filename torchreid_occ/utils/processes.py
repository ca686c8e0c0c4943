"""Processes that train as one: torchrun starts them, and each has its share of every batch."""

import os
from contextlib import contextmanager

import torch
from torch import distributed


@contextmanager
def joined_processes(use_gpu: bool):
    """Joins the processes that torchrun started with this one, if it started any.

    Args:
        use_gpu: Whether each of them takes the GPU of its local rank, where there are GPUs.
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
    """How many processes train as one."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def process_rank() -> int:
    """The number of this one, from 0 on."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first_process() -> bool:
    """Whether this is the one that writes and speaks for all."""
    return process_rank() == 0


def wait_for_all():
    """Returns once every process has come here."""
    if process_count() > 1:
        distributed.barrier()


def gather_objects(value) -> list:
    """What each process gives, in the order of their ranks; anything that can be pickled."""
    if process_count() == 1:
        return [value]
    found = [None] * process_count()
    distributed.all_gather_object(found, value)
    return found


def gather_rows(rows: torch.Tensor) -> torch.Tensor:
    """Rows of all processes, equally many of each; gradients flow back to where they came from.

    Each process goes on to compute the same loss from them. Its gradient counts once for each
    process, as DistributedDataParallel then takes the mean.
    """
    return _GatheredRows.apply(rows) if process_count() > 1 else rows


class _GatheredRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows):
        rows = rows.contiguous()
        parts = [torch.empty_like(rows) for _ in range(process_count())]
        distributed.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, upstream):
        upstream = upstream.contiguous()
        distributed.all_reduce(upstream)
        return upstream.chunk(process_count())[process_rank()]
