"""Initial weights of the papers' blocks."""

from torch import nn

from torchreid_occ.utils.checks import check_choice

CLASSIFIERS = ("pytorch", "released")


def initialise(module: nn.Module) -> None:
    """Draws weights as RFCnet's released code does (the paper is silent): normal, by fan-out.

    Args:
        module: A layer; others than linear and convolutional ones stay unchanged. For use with
            `nn.Module.apply`.
    """
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")


def initialise_classifier(module: nn.Module, how: str) -> None:
    """Draws the weights of a classifier.

    Args:
        module: The last layer, or a block of layers that ends with it.
        how: 'pytorch' leaves them as they are; 'released' draws them as the released codes of
            RFCnet and RRU-STIM do: the last layer's from a normal distribution with a standard
            deviation of 0.001, other linear layers' by He et al. 2015, and zeros for the biases.

    Raises:
        ValueError: If `how` is not one of these.
    """
    check_choice("initial_classifier", how, CLASSIFIERS)
    # Paper silent [S8]: RFCnet's and RRU-STIM's rows take the initialisation of the released codes.
    if how == "pytorch":
        return
    *block, last = (layer for layer in module.modules() if isinstance(layer, nn.Linear))
    for layer in block:
        nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        nn.init.zeros_(layer.bias)
    nn.init.normal_(last.weight, std=0.001)
    nn.init.zeros_(last.bias)
