"""Tensors in any named tuples, tuples, lists and dicts."""

import torch


def map_tensors(function, value):
    """Applies a function to every tensor of nested outputs, whose form stays as it is.

    Args:
        function: Maps a tensor to a tensor.
        value: A tensor, or tuples, lists and dicts of such; anything else stays.
    """
    if torch.is_tensor(value):
        return function(value)
    if isinstance(value, dict):
        return {name: map_tensors(function, part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        parts = [map_tensors(function, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
