"""Renames the weights of a released model by the prefixes of their names."""

from collections.abc import Mapping

from torch import Tensor


def rename(state_dict: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Renames weights.

    Args:
        state_dict: Weights by the released code's names.
        names: Our prefix by theirs.

    Raises:
        KeyError: If a name starts with none of their prefixes.
    """
    renamed = {}
    for name, tensor in state_dict.items():
        prefix = next((prefix for prefix in names if name.startswith(prefix)), None)
        if prefix is None:
            raise KeyError(
                f'Received weights named "{name}", but expected names starting with one of '
                f"{[*names]}"
            )
        renamed[names[prefix] + name.removeprefix(prefix)] = tensor
    return renamed
