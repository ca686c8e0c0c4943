"""Prints the resolved recipes of the papers' main tables, beside the papers' sentences."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: all rows are printed.

    Args:
        parser: The parser.
    """


def run(arguments: argparse.Namespace) -> None:
    """Prints the tables.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.studies.recipes import recipe_tables

    print(recipe_tables(), end="")
