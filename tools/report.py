"""Writes a page about a finished run that opens in any browser, offline.

    python tools/report.py log/demo/rfcnet

The page, report.html in the run's folder, holds results, plots, the hardest queries with what they
find, and the model's own pictures. The run's checkpoint is tested once more for it.
"""

import argparse
import sys

from torchreid_occ.report import write_report


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="data.save_dir of the run, or a phase's folder in it")
    parser.add_argument("--root", metavar="DIR", help="folder of the datasets, if not the run's")
    parser.add_argument(
        "--queries", type=int, default=8, metavar="N", help="hardest queries of each target"
    )
    parser.add_argument("--out", metavar="FILE", help="in place of report.html in the folder")
    arguments = parser.parse_args()
    try:
        path = write_report(arguments.folder, arguments.root, arguments.queries, arguments.out)
    except (KeyError, OSError, ValueError) as error:
        sys.exit(f"error: {error.args[0] if isinstance(error, KeyError) else error}")
    print(f"{path}, {path.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
