"""Criteria, one module per paper's objective, and their table."""

from torchreid_occ.losses.identity import IdentityLoss
from torchreid_occ.losses.rfcnet import RfcnetLoss
from torchreid_occ.losses.rru_stim import RruStimLoss
from torchreid_occ.losses.trl_st2n import TrlSt2nLoss

CRITERIA = {
    "identity": IdentityLoss,
    "rfcnet": RfcnetLoss,
    "rru_stim": RruStimLoss,
    "trl_st2n": TrlSt2nLoss,
}

__all__ = [
    "CRITERIA",
    "IdentityLoss",
    "RfcnetLoss",
    "RruStimLoss",
    "TrlSt2nLoss",
    "build_criterion",
]


def build_criterion(name, num_classes, **options):
    """Builds a criterion by name.

    Args:
        name: One of `CRITERIA`.
        num_classes: Number of training identities.
        **options: Keyword options of the criterion `CRITERIA[name]`.

    Raises:
        KeyError: If there is no such criterion.
    """
    if name not in CRITERIA:
        raise KeyError(f'Received criterion "{name}", but expected to be one of {sorted(CRITERIA)}')
    return CRITERIA[name](num_classes, **options)
