"""Trains and tests a configuration.

    torchreid-occ train --config-file configs/rfcnet.yaml -s mars -t mars train.lr 0.0001

A configuration that is not found by its path is looked for among those of the package. Without a
dataset the data is OccWalk, which is rendered.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torchreid_occ.cli.parser import Parser
from torchreid_occ.utils.errors import short_errors

if TYPE_CHECKING:
    from yacs.config import CfgNode

# How the command line says what the library's errors name.
FLAGS = {"resume=True": "--resume DIR", "run_splits": "--splits", "only=": "--phase NAME"}
INTERRUPTED = "Interrupted; --resume with the run's data.save_dir continues it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds torchreid's options and ours.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("--config-file", default="", metavar="FILE", help="YAML file of the run")
    parser.add_argument("--row", metavar="NAME", help="row of the file, if it holds a table")
    parser.add_argument("-s", "--sources", nargs="+", metavar="NAME", help="training datasets")
    parser.add_argument("-t", "--targets", nargs="+", metavar="NAME", help="test datasets")
    parser.add_argument("--transforms", nargs="+", metavar="NAME", help="training augmentation")
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--gpu-devices", metavar="IDS", help="such as 0,1")
    parser.add_argument("--splits", nargs="+", metavar="N", help="'all' or numbers: average splits")
    parser.add_argument("--resume", metavar="DIR", help="continue the run in DIR")
    parser.add_argument("--phase", metavar="NAME", help="run this one of the phases alone")
    parser.add_argument("--dry-run", action="store_true", help="print configuration and cost")
    parser.add_argument(
        "opts", nargs="*", default=[], metavar="KEY VALUE", help="override configuration keys"
    )


def parse(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """Reads options and KEY VALUE pairs in any order.

    Args:
        parser: The parser of this command.
        words: The command line after the name of the subcommand.
    """
    parsed = parser.parse_intermixed_args(words)
    for name in ("sources", "targets", "transforms", "splits"):
        # `-s mars data.height 128`: a list ends where a configuration key begins.
        listed = getattr(parsed, name) or []
        end = next((i for i, word in enumerate(listed) if is_key(word)), len(listed))
        setattr(parsed, name, listed[:end])
        parsed.opts = [*parsed.opts, *listed[end:]]
    if not parsed.config_file and not parsed.resume:
        parser.error("name a configuration by --config-file, or a run by --resume")
    if parsed.row and not parsed.config_file:
        parser.error("--row chooses a row of a file: name it by --config-file")
    if parsed.row:
        parsed.config_file += f"#{parsed.row}"
    return parsed


def is_key(word: str) -> bool:
    """Returns whether a word is a configuration key; names of datasets may contain dots, too.

    Args:
        word: A word of the command line.
    """
    from torchreid_occ.config.schema import KEYS

    section, dot, _ = word.partition(".")
    return word in KEYS or (bool(dot) and any(key.startswith(f"{section}.") for key in KEYS))


def overrides_of(arguments: argparse.Namespace) -> list[str]:
    """Returns the options as KEY VALUE pairs, followed by the pairs that were given as such.

    Args:
        arguments: From `parse`.
    """
    flags = {
        "data.sources": arguments.sources,
        "data.targets": arguments.targets,
        "data.transforms": arguments.transforms,
        "data.root": arguments.root,
        "data.save_dir": arguments.resume,
    }
    pairs = [word for key, value in flags.items() if value for word in (key, str(value))]
    return pairs + list(arguments.opts)


def run(arguments: argparse.Namespace) -> None:
    """Loads the configuration and shows or runs it.

    Args:
        arguments: From `parse`.
    """
    if arguments.gpu_devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = arguments.gpu_devices
    with short_errors(flags=FLAGS, interrupted=INTERRUPTED):
        _train(arguments)


def _train(arguments: argparse.Namespace) -> None:
    from torchreid_occ.config import load_config
    from torchreid_occ.runs.phases import phase_configs
    from torchreid_occ.runs.run import describe
    from torchreid_occ.utils.processes import joined_processes

    if arguments.resume and not Path(arguments.resume).is_dir():
        raise FileNotFoundError(f"There is no run in {arguments.resume} to be continued.")
    path = Path(arguments.config_file or Path(arguments.resume, "config.yaml"))
    overrides = overrides_of(arguments)
    config = load_config(path, overrides)
    if arguments.dry_run and config.phases:  # the cost of a phase depends on those before it
        for name, phase in phase_configs(config).items():
            print(f"# phase {name}\n{phase.dump()}")
    elif arguments.dry_run:
        print(describe(config))
    else:
        with joined_processes(config.use_gpu):
            _run(arguments, config, path, overrides)


def _run(
    arguments: argparse.Namespace, config: "CfgNode", path: Path, overrides: list[str]
) -> None:
    """Runs the configuration, over splits where they are asked for."""
    from torchreid_occ.config import find_config
    from torchreid_occ.runs.phases import run_config
    from torchreid_occ.runs.splits import run_splits

    resume = bool(arguments.resume)
    if arguments.splits:
        numbers = None if arguments.splits == ["all"] else [int(n) for n in arguments.splits]
        run_splits(path, overrides, numbers, resume=resume)
        return
    found = find_config(path)
    demo = found.parent / "demo" / found.name
    run_config(config, resume, arguments.phase, demo if demo.is_file() else None)
