"""Downloads a file you have a link to, and unpacks it.

Example: python tools/fetch.py https://drive.google.com/uc?id=... --to reid-data --unpack
"""

import argparse
import sys
from pathlib import Path

from torchreid_occ.data.download import fetch, unpack


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="a link of Google Drive, or any http(s) link")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where to put it")
    parser.add_argument("--sha256", help="what the file's SHA-256 must be")
    parser.add_argument(
        "--unpack", action="store_true", help="unpack the zip or tar archive into the folder, too"
    )
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    try:
        args.to.mkdir(parents=True, exist_ok=True)
        paths = [fetch(args.url, args.to, args.sha256)]
        if args.unpack:
            paths += unpack(paths[0], args.to)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print("\n".join(map(str, paths)))


if __name__ == "__main__":
    main()
