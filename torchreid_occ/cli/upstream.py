"""Writes a model or dataset of this package as a file of torchreid's own tree.

    torchreid-occ upstream rfcnet --torchreid ~/deep-person-reid/torchreid --out export

The file, and a patch of torchreid's factory, are made for the torchreid that is named (by default
the installed one) and tried in a copy of it before they are written.
"""

import argparse
from pathlib import Path

from torchreid_occ.utils.errors import short_errors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("name", help="name of a model or dataset, as in a configuration")
    parser.add_argument(
        "--torchreid", type=Path, metavar="FOLDER",
        help="the package's folder in a checkout; the installed one if left out",
    )  # fmt: skip
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="datasets, to train a step on an exported one"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")


def run(arguments: argparse.Namespace) -> None:
    """Exports the part; prints what the trial did and the paths of what was written.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.upstream import export_part

    with short_errors(RuntimeError):
        exported = export_part(arguments.name, arguments.out, arguments.torchreid, arguments.root)
    print(f"{exported.tree}: {exported.trial}")
    print("\n".join(map(str, exported.paths)))
