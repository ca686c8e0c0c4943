"""Writes a model or dataset of this package as a file of torchreid's own tree.

Example: python tools/upstream.py rfcnet --torchreid ~/deep-person-reid/torchreid --out export

The file, and a patch of torchreid's factory, are made for the torchreid that is named (by default
the installed one) and tried in a copy of it before they are written.
"""

import argparse
import sys
from pathlib import Path

from torchreid_occ._torchreid import torchreid
from torchreid_occ.upstream import Tree, export, find_part, try_out, write


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="name of a model or dataset, as in a configuration")
    parser.add_argument(
        "--torchreid",
        type=Path,
        default=Path(torchreid.__file__).parent,
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
        part, tree = find_part(args.name), Tree(args.torchreid)
        exported = export(part, tree)
        print(f"{tree.folder}: {try_out(exported, part, tree, args.root)}")
        paths = write(exported, tree, args.out)
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"error: {error.args[0] if isinstance(error, KeyError) else error}")
    print("\n".join(map(str, paths)))


if __name__ == "__main__":
    main()
