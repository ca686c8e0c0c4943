"""Durations as people write them, such as ``30d`` or ``2:05.0``."""

import re

SECONDS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def parse_duration(text: str) -> float:
    """Returns a duration in seconds.

    Args:
        text: A number with 'h', 'd' or 'w' for hours, days or weeks.

    Raises:
        ValueError: If the text is none, or the duration is not above 0.

    Example:
        >>> parse_duration("30d")
        2592000.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text.strip())
    seconds = float(found.group(1)) * SECONDS[found.group(2)] if found else 0.0
    if not seconds:
        raise ValueError(
            f"{text!r} is no duration: expected a number above 0 with h, d or w for hours, days "
            "or weeks, such as 30d."
        )
    return seconds


def format_duration(seconds: float) -> str:
    """Formats a duration in days, or in hours if it is shorter than one.

    Args:
        seconds: The duration in seconds.

    Example:
        >>> format_duration(2592000.0)
        '30d'
    """
    unit = next((name for name in ("d", "h") if seconds >= SECONDS[name]), "h")
    return f"{seconds / SECONDS[unit]:g}{unit}"


def clock(seconds: float) -> str:
    """Formats a time of a recording as minutes, seconds and tenths.

    Args:
        seconds: The seconds.

    Example:
        >>> clock(119.97)
        '2:00.0'
    """
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:04.1f}"
