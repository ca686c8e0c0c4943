"""`python -m torchreid_occ.occwalk`: renders a preset, shows it, or counts its occlusion."""

import argparse
from pathlib import Path

import cv2

from torchreid_occ.occwalk.build import build
from torchreid_occ.occwalk.presets import PRESETS
from torchreid_occ.occwalk.preview import contact_sheet
from torchreid_occ.occwalk.stats import describe


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m torchreid_occ.occwalk", description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="occwalk_tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", default="reid-data", help="folder that holds the datasets")
    parser.add_argument("--preview", metavar="PNG", help="write a contact sheet and stop")
    parser.add_argument("--overlay", action="store_true", help="draw the ground truth into it")
    parser.add_argument("--stats", action="store_true", help="print occlusion beside the paper's")
    args = parser.parse_args()
    preset = PRESETS[args.preset]
    if args.preview:
        sheet = contact_sheet(preset, args.seed, overlay=args.overlay)
        Path(args.preview).write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
        return
    folder = build(preset, args.seed, args.root)
    print(describe(folder) if args.stats else folder)


if __name__ == "__main__":
    main()
