"""Downloads a file you have a link to, and unpacks it.

torchreid-occ fetch https://drive.google.com/uc?id=... --to reid-data --unpack
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("url", help="a link of Google Drive, or any http(s) link")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where to put it")
    parser.add_argument("--sha256", help="what the file's SHA-256 must be")
    parser.add_argument(
        "--unpack", action="store_true", help="unpack the zip or tar archive into the folder, too"
    )


def run(arguments: argparse.Namespace) -> None:
    """Downloads and unpacks; prints the paths of what was written.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.data.download import fetch, unpack

    arguments.to.mkdir(parents=True, exist_ok=True)
    paths = [fetch(arguments.url, arguments.to, arguments.sha256)]
    if arguments.unpack:
        paths += unpack(paths[0], arguments.to)
    print("\n".join(map(str, paths)))
