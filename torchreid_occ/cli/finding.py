"""What a check of a machine returns."""

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """How a finding is: all right, a gap in something optional, or a lack that stops training."""

    OK = "ok"
    GAP = "gap"
    MISSING = "MISSING"


class Finding(NamedTuple):
    """What one check found.

    Attributes:
        state: Whether it is all right.
        part: What was looked at.
        text: What there is.
        advice: What to do about a gap; empty if there is nothing to do.
    """

    state: State
    part: str
    text: str
    advice: str = ""
