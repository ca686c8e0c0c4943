"""Writes a trained model in a form that runs without this package, and checks it.

Example: python tools/export.py log/rfcnet/model/model.pth.tar-150 --format onnx --out rfcnet.onnx
"""

import argparse
import sys
from pathlib import Path

from torchreid_occ.export import FORMATS, export_model


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--format", required=True, choices=list(FORMATS))
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    parsed = parser.parse_args(arguments)
    try:
        deviation = export_model(parsed.checkpoint, parsed.format, parsed.out)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"error: {error}")
    print(f"Wrote {parsed.out}: features deviate by {deviation:.1e} of the largest value at most.")


if __name__ == "__main__":
    main()
