"""Tests a checkpoint on datasets: it holds its configuration, so that no file is named.

    torchreid-occ test log/rfcnet/model/model.pth.tar-150 -t tracklet_folder --root my-footage

A target needs query and gallery only. Results go to test/<targets> in the folder of the run, or to
data.save_dir if that is given. The same test is not made twice.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from torchreid_occ.cli.parser import Parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument(
        "-t", "--targets", nargs="+", default=[], metavar="NAME", help="datasets; those of the run"
    )
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets; that of the run")
    parser.add_argument("--gpu-devices", metavar="IDS", help="such as 0,1")
    parser.add_argument(
        "opts", nargs="*", default=[], metavar="KEY VALUE", help="override configuration keys"
    )


def parse(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """Reads options and KEY VALUE pairs in any order.

    Args:
        parser: The parser of this command.
        words: The command line after the name of the subcommand.
    """
    from torchreid_occ.cli.train import is_key

    parsed = parser.parse_intermixed_args(words)
    end = next((i for i, word in enumerate(parsed.targets) if is_key(word)), len(parsed.targets))
    parsed.targets, rest = parsed.targets[:end], parsed.targets[end:]
    parsed.opts = [*parsed.opts, *rest]
    return parsed


def run(arguments: argparse.Namespace) -> None:
    """Tests and prints the results.

    Args:
        arguments: From `parse`.
    """
    if arguments.gpu_devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = arguments.gpu_devices
    from torchreid_occ.runs.testing import evaluate_checkpoint

    done = evaluate_checkpoint(
        arguments.checkpoint, arguments.targets, arguments.root, list(arguments.opts)
    )
    if not done.was_there:
        return  # the log has shown them
    print(f"This test is already there, in {done.save_dir}.")
    for target, checkpoints in done.results["targets"].items():
        result = checkpoints["last"]
        cmc = "  ".join(f"rank-{rank} {share:.1%}" for rank, share in result["cmc"].items())
        print(f"{target}: mAP {result['mAP']:.1%}  {cmc}")
