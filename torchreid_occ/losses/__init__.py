"""Criteria, one module per paper's objective, and their table."""

from typing import Any

from torchreid_occ._registry import CRITERIA, register_criterion
from torchreid_occ.losses.criterion import Criterion
from torchreid_occ.losses.identity import IdentityLoss
from torchreid_occ.losses.rfcnet import RfcnetLoss
from torchreid_occ.losses.rru_stim import RruStimLoss
from torchreid_occ.losses.trl_st2n import TrlSt2nLoss

__all__ = [
    "CRITERIA",
    "Criterion",
    "IdentityLoss",
    "RfcnetLoss",
    "RruStimLoss",
    "TrlSt2nLoss",
    "build_criterion",
    "register_criterion",
]


def build_criterion(name: str, num_classes: int, **options: Any) -> Criterion:
    """Builds a criterion by name.

    Args:
        name: One of `CRITERIA`.
        num_classes: Number of training identities.
        **options: Keyword options of the criterion `CRITERIA[name]`.

    Raises:
        KeyError: If there is no such criterion.
    """
    criterion: Criterion = CRITERIA[name](num_classes, **options)
    return criterion
