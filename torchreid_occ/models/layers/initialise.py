"""How the papers' blocks start."""

from torch import nn


def initialise(module):
    """Draws weights as RFCnet's released code does (the paper is silent): normal, by fan-out.

    Args:
        module: A layer; other than linear and convolutional ones are left alone. For use with
            `nn.Module.apply`.
    """
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
