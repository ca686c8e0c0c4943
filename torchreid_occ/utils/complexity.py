"""The cost of a model: parameters, multiply-adds, and the time of a training step."""

import time

import torch
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model, without=("classifier", "neck")):
    """Parameters of a model as the papers count them: without the classifier and the BN neck.

    Args:
        model: The model.
        without: First parts of the names of parameters left out.
    """
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name.split(".")[0] not in without
    )


@torch.no_grad()
def count_gmacs(model, clip):
    """Billions of multiply-adds of a clip in eval mode, of convolutions and matrix products.

    Args:
        model: The model.
        clip: An input of the model that holds one clip.
    """
    training = model.training
    counter = FlopCounterMode(display=False)
    with counter:
        model.eval()(clip)
    model.train(training)
    return counter.get_total_flops() / 2e9


def seconds_per_clip(model, clip, clips=2):
    """Seconds a clip costs in training, forward and backward, measured on a few.

    The model's buffers are restored, gradients are dropped and the random state is kept.

    Args:
        model: The model; in train mode its output is the logits or has them first.
        clip: An input of the model that holds one clip.
        clips: How many are measured at once.
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
