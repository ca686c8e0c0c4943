"""Initial weights of the papers' blocks."""

from torch import nn


def initialise(module: nn.Module) -> None:
    """Draws weights as RFCnet's released code does (the paper is silent): normal, by fan-out.

    Args:
        module: A layer; others than linear and convolutional ones stay unchanged. For use with
            `nn.Module.apply`.
    """
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
