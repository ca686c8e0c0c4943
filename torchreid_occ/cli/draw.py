"""Draws what a trained model does to a tracklet.

torchreid-occ draw log/rfcnet/model/model.pth.tar-150 --tracklet 3 --out pictures
torchreid-occ draw REID_CHECKPOINT --completion STCNET_CHECKPOINT --tracklet 3 --out pictures
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--tracklet", default="0", metavar="N|FOLDER",
        help="number of a query of the model's first target, or a folder of frames (0)",
    )  # fmt: skip
    parser.add_argument(
        "--frames", type=int, default=8, metavar="N", help="how many of its frames, evenly (8)"
    )
    parser.add_argument(
        "--completion", type=Path, metavar="CHECKPOINT",
        help="a completion network: draws how the model responds before and after completion",
    )  # fmt: skip
    parser.add_argument(
        "--tau", type=float, default=0.89, help="score below which a third is completed (0.89)"
    )
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the PNGs")


def run(arguments: argparse.Namespace) -> None:
    """Draws the pictures and prints their paths.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.visualization.pictures import (
        draw_completion,
        draw_pictures,
        frames_of_tracklet,
    )

    checkpoint, tracklet = arguments.checkpoint, arguments.tracklet
    wanted = int(tracklet) if tracklet.isdecimal() else Path(tracklet)
    if arguments.completion is not None:
        frames = frames_of_tracklet(checkpoint, wanted, None)
        count, tau = arguments.frames, arguments.tau
        print(draw_completion(checkpoint, arguments.completion, frames, arguments.out, count, tau))
        return
    frames = frames_of_tracklet(checkpoint, wanted, arguments.frames)
    print("\n".join(map(str, draw_pictures(checkpoint, frames, arguments.out))))
