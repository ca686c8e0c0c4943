"""Backbones: image networks, cut into four stages with known channels and strides."""

from torchreid_occ.models.backbones.build import BACKBONES, build_backbone
from torchreid_occ.models.backbones.stages import Backbone, Stage
from torchreid_occ.models.backbones.torchvision_networks import load_auxiliary_weights
from torchreid_occ.models.backbones.weights import HUB, SOURCES, Origin
from torchreid_occ.utils.weights import WeightsUnavailable

__all__ = [
    "BACKBONES",
    "HUB",
    "SOURCES",
    "Backbone",
    "Origin",
    "Stage",
    "WeightsUnavailable",
    "build_backbone",
    "load_auxiliary_weights",
]
