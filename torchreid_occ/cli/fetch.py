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
    from torchreid_occ.data.download import DamagedArchive, fetch, unpack

    arguments.to.mkdir(parents=True, exist_ok=True)
    before = {file: file.lstat().st_ino for file in arguments.to.iterdir()}
    path = fetch(arguments.url, arguments.to, arguments.sha256)
    was_there = before.get(path) == path.lstat().st_ino
    if was_there:
        print(f"{path} is already there.")
    unpacked = []
    if arguments.unpack:
        try:
            unpacked = unpack(path, arguments.to)
        except DamagedArchive as error:
            if was_there:
                raise ValueError(f"{error} Remove it to have it downloaded again.") from error
            path.unlink()
            raise ValueError(f"{error} It was removed: check the link.") from error
    print("\n".join(map(str, [path, *unpacked])))
