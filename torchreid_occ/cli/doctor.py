"""Shows what this machine has for torchreid_occ, and what to do about each gap.

Ends with status 1 if something is missing without which nothing can be trained.
"""

import argparse
import sys
import textwrap

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
    from torchreid_occ.cli.machine import State, findings

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
