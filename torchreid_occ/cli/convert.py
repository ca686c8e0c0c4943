"""Converts weights that a paper's authors released to a checkpoint of this package.

torchreid-occ convert rfcnet best_model.pth.tar rfcnet.pth.tar
"""

import argparse
from pathlib import Path

MODELS = ("rfcnet", "rru_stim")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("model", choices=MODELS, help="rfcnet is the image model")
    parser.add_argument("source", type=Path, help="checkpoint of the released code")
    parser.add_argument("target", type=Path, help="checkpoint to write")


def run(arguments: argparse.Namespace) -> None:
    """Converts the weights and prints what they are.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.models.released.checkpoint import convert_checkpoint

    converted = convert_checkpoint(arguments.model, arguments.source, arguments.target)
    print(
        f"Wrote {arguments.target}: {converted['num_classes']} identities, "
        f"model.options {converted['config']['model']['options']}"
    )
