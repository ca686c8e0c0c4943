"""Finds the subcommand, parses its arguments, and runs it."""

import argparse
import difflib
import importlib
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

from torchreid_occ.cli.parser import Parser
from torchreid_occ.cli.workers import fork_workers
from torchreid_occ.utils.errors import short_errors, short_warnings, shown_records
from torchreid_occ.version import __version__

NAME = "torchreid-occ"
# The subcommands in the order of the help. A module of this package holds each: its docstring is
# the help, `add_arguments` fills a parser, `run` does the work. Where `parse` is there, it parses.
GROUPS = {
    "Training and results": (
        "train", "compare", "test", "demo", "report", "draw", "export",
    ),
    "From footage to an answer": (
        "tracklets", "annotate", "extract", "calibrate", "search", "identities",
    ),
    "Data and weights": (
        "sort", "occwalk", "occlude", "occlusion", "fetch", "convert", "train-small-detector",
    ),
    "Studies": ("diagnose", "measure-completion", "recipes"),
    "This machine, and torchreid's tree": ("doctor", "build-ops", "upstream"),
}  # fmt: skip
COMMANDS = tuple(name for names in GROUPS.values() for name in names)
# These run on machines where importing torch or torchreid fails.
WITHOUT_PACKAGE = ("doctor",)


class Command(NamedTuple):
    """A parsed command line.

    Attributes:
        name: The subcommand.
        module: Its module.
        arguments: For the module's `run`.
    """

    name: str
    module: ModuleType
    arguments: argparse.Namespace


def main(words: Sequence[str] | None = None, load: Callable[[], object] | None = None) -> None:
    """Runs the command.

    Args:
        words: The command line after the command's name; that of the process if None.
        load: Runs the package's own `__init__`, where that has not happened yet.

    Raises:
        SystemExit: With status 2 if the command line is wrong, with one line for other errors.
    """
    command = parse_command(sys.argv[1:] if words is None else words)
    with short_errors(), short_warnings(), shown_records():
        if load is not None and command.name not in WITHOUT_PACKAGE:
            load()
        fork_workers()
        command.module.run(command.arguments)


def parse_command(words: Sequence[str]) -> Command:
    """Parses a command line.

    Args:
        words: The command line after the command's name.

    Raises:
        SystemExit: With status 2 and one line if it is wrong; after the help or the version.
    """
    name = subcommand(words)
    module = module_of(name)
    parse = getattr(module, "parse", Parser.parse_args)
    return Command(name, module, parse(parser_of(name), list(words[1:])))


def subcommand(words: Sequence[str]) -> str:
    """Returns the name of the subcommand that a command line begins with.

    Args:
        words: The command line after the command's name.

    Raises:
        SystemExit: If there is none; after the help, the version, or an error of one line.
    """
    first = words[0] if words else ""
    if first in COMMANDS:
        return first
    if first in ("-h", "--help", "help"):
        print(overview())
        sys.exit(0)
    if first == "--version":
        print(f"{NAME} {__version__}")
        sys.exit(0)
    if not first:
        print(overview(), file=sys.stderr)
        sys.exit(2)
    near = difflib.get_close_matches(first, COMMANDS, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(COMMANDS)}."
    print(f"{NAME}: error: there is no command {first!r}: {hint}", file=sys.stderr)
    sys.exit(2)


def module_of(name: str) -> ModuleType:
    """Returns the module of a subcommand."""
    return importlib.import_module(f"torchreid_occ.cli.{name.replace('-', '_')}")


def parser_of(name: str) -> Parser:
    """Returns the parser of a subcommand."""
    module = module_of(name)
    parser = Parser(prog=f"{NAME} {name}", description=module.__doc__)
    module.add_arguments(parser)
    return parser


def overview() -> str:
    """Returns the help of the command: its subcommands, and a line about each."""
    width = max(map(len, COMMANDS))
    lines = [f"usage: {NAME} COMMAND ...   ({NAME} COMMAND --help says more, --version which)"]
    for group, names in GROUPS.items():
        lines += ["", f"{group}:"]
        for name in names:
            first = (module_of(name).__doc__ or "").partition("\n")[0]
            lines.append(f"  {name:{width}}  {first}")
    return "\n".join(lines)
