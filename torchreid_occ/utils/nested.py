"""Tensors in nested named tuples, tuples, lists and dicts."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Applies a function to every tensor of nested outputs and keeps their structure.

    Args:
        function: Maps a tensor to a tensor.
        value: A tensor, or tuples, lists and dicts of tensors; other values are kept.
    """
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, dict):
        return {name: map_tensors(function, part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        parts = [map_tensors(function, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
