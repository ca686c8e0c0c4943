"""Trains and tests a configuration: `python tools/main.py --config-file configs/rfcnet.yaml`.

The same as `torchreid-occ train`.
"""

import sys

from torchreid_occ_command import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
