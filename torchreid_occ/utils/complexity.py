"""The cost of a model: parameters, multiply-adds, and the time of a training step."""

import time
from collections.abc import Container

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module, without: Container[str] = ("classifier", "neck")) -> int:
    """Counts the parameters of a model as the papers do: without classifier and BN neck.

    Args:
        model: The model.
        without: Names of the model's modules that are not counted.
    """
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name.split(".")[0] not in without
    )


@torch.no_grad()
def count_gmacs(model: nn.Module, clip: Tensor) -> float:
    """Counts the multiply-adds of a clip in eval mode, of convolutions and matrix products.

    Args:
        model: The model.
        clip: An input of the model that holds one clip.

    Returns:
        Billions of multiply-adds.
    """
    training = model.training
    counter = FlopCounterMode(display=False)
    with counter:
        model.eval()(clip)
    model.train(training)
    return counter.get_total_flops() / 2e9


def seconds_per_clip(model: nn.Module, clip: Tensor, clips: int = 2) -> float:
    """Measures the seconds of a forward and a backward pass per clip.

    Buffers and random state are restored and gradients removed.

    Args:
        model: The model; in train mode its output is the logits or a tuple that begins with them.
        clip: An input of the model that holds one clip.
        clips: Clips in the measured batch.
    """
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    training = model.training
    with torch.random.fork_rng():
        batch = torch.rand_like(torch.cat([clip] * clips))
        for _ in range(2):  # the first pass allocates
            start = time.perf_counter()
            output = model.train()(batch)
            logits = output[0] if isinstance(output, tuple) else output
            logits.square().mean().backward()
            if batch.is_cuda:
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
    model.zero_grad(set_to_none=True)
    model.train(training)
    for name, value in model.named_buffers():
        value.copy_(buffers[name])
    return seconds / clips
