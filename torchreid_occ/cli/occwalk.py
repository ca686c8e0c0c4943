"""Renders OccWalk, shows some of it, or counts its occlusion.

torchreid-occ occwalk --preset occwalk_small --seed 0 --root reid-data
"""

import argparse
from pathlib import Path

PRESETS = ("occwalk_tiny", "occwalk_small", "occwalk_full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("--preset", choices=PRESETS, default="occwalk_tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", default="reid-data", help="folder that holds the datasets")
    parser.add_argument("--preview", metavar="PNG", help="write a contact sheet and stop")
    parser.add_argument("--overlay", action="store_true", help="draw the ground truth into it")
    parser.add_argument("--stats", action="store_true", help="print occlusion beside the paper's")


def run(arguments: argparse.Namespace) -> None:
    """Renders what is asked for, and prints where it is or its statistics.

    Args:
        arguments: The parsed command line.
    """
    import cv2

    from torchreid_occ.occwalk.build import build
    from torchreid_occ.occwalk.presets import PRESETS
    from torchreid_occ.occwalk.preview import contact_sheet
    from torchreid_occ.occwalk.stats import describe

    preset = PRESETS[arguments.preset]
    if arguments.preview:
        sheet = contact_sheet(preset, arguments.seed, overlay=arguments.overlay)
        Path(arguments.preview).write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
        return
    folder = build(preset, arguments.seed, arguments.root)
    print(describe(folder) if arguments.stats else folder)
