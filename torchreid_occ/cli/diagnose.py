"""Measures what a model would gain if one part of it were perfect, and what its blocks do.

    torchreid-occ diagnose log/compare/rfcnet/seed_200/model/model.pth.tar-8
    torchreid-occ diagnose --train configs/compare/rfcnet.yaml --truth foreground lines

The first tests a trained model on the first dataset of its configuration that has ground truth,
OccWalk or an occluded copy, while ground truth takes the place of one part at a time. The second
trains a model whose blocks get the ground truth all along.
"""

import argparse
from collections.abc import Sequence

from torchreid_occ.cli.parser import Parser

TRUTHS = ("foreground", "lines")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("checkpoint", nargs="?", metavar="CHECKPOINT")
    parser.add_argument("--train", metavar="FILE", help="train this configuration with the truth")
    parser.add_argument("--truth", nargs="+", choices=TRUTHS, default=TRUTHS, help="with --train")
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="with --train (1)")
    parser.add_argument("--split", type=int, metavar="N", help="rendering; the training's if left")


def parse(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """Parses the options, and checks that there is one thing to do.

    Args:
        parser: The parser of this command.
        words: The command line after the name of the subcommand.
    """
    parsed = parser.parse_args(words)
    if bool(parsed.checkpoint) == bool(parsed.train):
        parser.error("name either a CHECKPOINT or a configuration by --train")
    return parsed


def run(arguments: argparse.Namespace) -> None:
    """Prints a row for each part, as soon as it is measured.

    Args:
        arguments: From `parse`.
    """
    from torchreid_occ.studies.diagnosis import block_tables, diagnose_blocks
    from torchreid_occ.studies.oracles import upper_bounds
    from torchreid_occ.studies.true_training import train_with_truth
    from torchreid_occ.utils.tables import markdown_header

    root, split = arguments.root, arguments.split
    if arguments.train:
        bound = train_with_truth(arguments.train, arguments.truth, root, arguments.seed, split)
        print(bound.row())
        return
    print(markdown_header(["at test", "mAP"]), flush=True)
    for bound in upper_bounds(arguments.checkpoint, root, split):
        print(bound.row(), flush=True)
    train, query = diagnose_blocks(arguments.checkpoint, root, split)
    if query:
        print(f"\n{block_tables(train, query)}", end="")
