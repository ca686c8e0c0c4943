"""A ResNet so small that building it, which takes longest with tiny frames, is quick."""

from dataclasses import replace
from itertools import pairwise

from torch import nn
from torchvision.models.resnet import BasicBlock

from torchreid_occ.models.backbones import BACKBONES

CHANNELS = (32, 32, 64, 128)
SMALL_BACKBONE = (
    "small_resnet10"  # about a quarter of ResNet-18's channels, one of its two blocks a stage
)


def build(drawn):
    """Returns a network with the layers of torchvision's ResNets."""
    layers = {
        "conv1": nn.Conv2d(3, CHANNELS[0], 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(CHANNELS[0]),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
        "layer1": nn.Sequential(BasicBlock(CHANNELS[0], CHANNELS[0])),
    }
    for number, (before, after) in enumerate(pairwise(CHANNELS), start=2):
        shortcut = nn.Sequential(
            nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after)
        )
        layers[f"layer{number}"] = nn.Sequential(BasicBlock(before, after, 2, shortcut))
    network = nn.ModuleDict(layers)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


BACKBONES[SMALL_BACKBONE] = replace(BACKBONES["resnet18_x0_5"], build=build, channels=CHANNELS)
