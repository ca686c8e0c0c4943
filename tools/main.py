"""Trains and tests a configuration: `python tools/main.py --config-file configs/rfcnet.yaml`.

The same as `torchreid-occ train`.
"""

import sys

try:
    from torchreid_occ.cli.train import main
except ImportError as error:  # says which package to install
    sys.exit(f"ImportError: {error}")

if __name__ == "__main__":
    main()
