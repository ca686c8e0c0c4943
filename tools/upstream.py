"""Writes a model or dataset of this package as a file of torchreid's own tree.

Example: python tools/upstream.py rfcnet --torchreid ~/deep-person-reid/torchreid --out export

The file, and a patch of torchreid's factory, are made for the torchreid that is named (by default
the installed one) and tried in a copy of it before they are written.
"""

import argparse
import sys
from pathlib import Path

from torchreid_occ.upstream import export_part


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="name of a model or dataset, as in a configuration")
    parser.add_argument(
        "--torchreid",
        type=Path,
        metavar="FOLDER",
        help="the package's folder in a checkout; the installed one if left out",
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="datasets, to train a step on an exported one"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    try:
        made = export_part(args.name, args.out, args.torchreid, args.root)
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"error: {error.args[0] if isinstance(error, KeyError) else error}")
    print("\n".join([f"{made.tree}: {made.trial}", *map(str, made.paths)]))


if __name__ == "__main__":
    main()
