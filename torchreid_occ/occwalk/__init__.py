"""OccWalk: pedestrians rendered on video, with pixel ground truth for what hides them."""

from torchreid_occ.occwalk.dataset import (
    OccWalk,
    OccWalkFull,
    OccWalkFullClean,
    OccWalkSmall,
    OccWalkSmallClean,
    OccWalkTiny,
    OccWalkTinyClean,
)
from torchreid_occ.occwalk.presets import PRESETS, VERSION, Preset

__all__ = [
    "PRESETS",
    "VERSION",
    "OccWalk",
    "OccWalkFull",
    "OccWalkFullClean",
    "OccWalkSmall",
    "OccWalkSmallClean",
    "OccWalkTiny",
    "OccWalkTinyClean",
    "Preset",
]
