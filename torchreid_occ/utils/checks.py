"""Checks of arguments, whose errors say what arrived and what is allowed."""

from collections.abc import Iterable


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Checks that an argument is one of the allowed values.

    Args:
        name: Name of the argument, for the error.
        value: What was given.
        choices: What is allowed.

    Raises:
        ValueError: If it is none of them.
    """
    choices = list(choices)
    if value not in choices:
        shown = f'"{value}"' if isinstance(value, str) else repr(value)
        raise ValueError(f"Received {name} {shown}, but expected to be one of {choices}")


def check_share(name: str, value: float) -> None:
    """Checks that an argument is a share.

    Args:
        name: Name of the argument, for the error.
        value: What was given.

    Raises:
        ValueError: If it is not from 0 to 1.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"Received {name} {value}, but expected a share from 0 to 1")
