"""Shows what this machine has for torchreid_occ, and what to do about each gap.

Ends with status 1 if something is missing without which nothing can be trained.
"""

import argparse
import sys
import textwrap

from torchreid_occ.cli import hardware, libraries
from torchreid_occ.cli.finding import Finding, State

WIDTH = 100  # columns


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: everything is looked at.

    Args:
        parser: The parser.
    """


def run(arguments: argparse.Namespace) -> None:
    """Prints a line or two about each part.

    Args:
        arguments: The parsed command line.
    """
    found = findings()
    for each in found:
        text = f"{each.text}. {each.advice}" if each.advice else each.text
        head = f"{each.state.value:7} {each.part:11} "
        print(
            textwrap.fill(
                text,
                WIDTH,
                initial_indent=head,
                subsequent_indent=" " * len(head),
                break_on_hyphens=False,
            )
        )
    if any(each.state is State.MISSING for each in found):
        sys.exit(1)


def findings() -> list[Finding]:
    """Looks at everything; a library that cannot be imported is a finding."""
    found = [libraries.libraries()]
    found += [gone for gone in map(libraries.importable, ("torch", "torchvision")) if gone]
    if len(found) == 1:  # what follows imports torch
        found += [*filter(None, (libraries.torchreid(),)), hardware.gpu(), hardware.kernels()]
        found += [libraries.weights(), libraries.configurations()]
    return [*found, libraries.extras(), hardware.processor(), *hardware.disks()]
