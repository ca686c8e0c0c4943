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
def count_gmacs(model, clip_shape):
    """Billions of multiply-adds of one clip in eval mode, of convolutions and matrix products.

    Args:
        model: The model.
        clip_shape: ``(T, 3, H, W)``.
    """
    training = model.training
    device = next(model.parameters()).device
    counter = FlopCounterMode(display=False)
    with counter:
        model.eval()(torch.zeros(1, *clip_shape, device=device))
    model.train(training)
    return counter.get_total_flops() / 2e9


def seconds_per_clip(model, clip_shape, clips=2):
    """Seconds a clip costs in training, forward and backward, measured on a few random clips.

    The model's buffers are restored, gradients are dropped and the random state is kept.
    """
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    device = next(model.parameters()).device
    training = model.training
    with torch.random.fork_rng():
        batch = torch.rand(clips, *clip_shape, device=device)
        for _ in range(2):  # the first pass allocates
            start = time.perf_counter()
            output = model.train()(batch)
            output.features.square().mean().backward()
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
    model.zero_grad(set_to_none=True)
    model.train(training)
    for name, value in model.named_buffers():
        value.copy_(buffers[name])
    return seconds / clips
