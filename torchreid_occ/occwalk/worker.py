"""The command that a rendering process runs: see :mod:`torchreid_occ.occwalk.parallel`."""

import json
import sys
from pathlib import Path

from torchreid_occ.occwalk.presets import Preset
from torchreid_occ.occwalk.protocol import list_tracklets
from torchreid_occ.occwalk.records import render_record


def main() -> None:
    """Renders the tracklets whose numbers are read from standard input; prints each when done."""
    job = json.loads(sys.argv[1])
    preset = Preset(**job["preset"])
    specs = list_tracklets(preset, job["seed"])
    for line in sys.stdin:  # ends with the parent process
        render_record(Path(job["partial"]), specs[int(line)], preset, job["seed"])
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main()
