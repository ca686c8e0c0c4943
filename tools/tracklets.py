"""Cuts the people out of a video and adds them to a dataset as tracklets.

Example: python tools/tracklets.py gate.mp4 --detector hog --camera 1 --out my-footage
"""

import argparse
import sys
from pathlib import Path

from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording
from torchreid_occ.footage.detectors import detector_names
from torchreid_occ.models import WeightsUnavailable


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = TrackletOptions._field_defaults
    parser.add_argument("video", type=Path)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--detections", metavar="FILE", help="MOTChallenge text, with or without ids"
    )
    source.add_argument("--detector", metavar="NAME", help=", ".join(detector_names()))
    parser.add_argument("--weights", metavar="FILE", help="own weights for a torchvision detector")
    parser.add_argument("--camera", type=int, required=True, metavar="N", help="its number")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the dataset")
    parser.add_argument("--name", default="", help="of this recording; by default the video's")
    parser.add_argument("--fps", type=float, dest="frame_rate", help="if the video's is wrong")
    parser.add_argument(
        "--min-score", type=float, help="of a detection that starts a track (0.7; hog: 1.5)"
    )
    for name, kind, text in (
        ("min_height", float, "pixels of height that a box needs"),
        ("min_length", int, "frames that a tracklet needs"),
        ("max_gap", float, "seconds that a tracklet may miss"),
        ("margin", float, "added around a box, as a share of its width and height"),
    ):
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            default=default[name],
            help=f"{text} (%(default)s)",
        )
    return parser.parse_args(arguments)


def main(arguments=None):
    args = vars(parse_arguments(arguments))
    options, source = (
        kind(**{field: args[field] for field in kind._fields})
        for kind in (TrackletOptions, BoxSource)
    )
    try:
        made = add_recording(args["video"], args["out"], source, options, args["name"])
    except (ImportError, OSError, ValueError, WeightsUnavailable) as error:
        sys.exit(f"error: {error}")
    lengths = [len(tracklet["frames"]) for tracklet in made["tracklets"].values()]
    print(
        f"{args['out']} has {len(lengths)} tracklets of {min(lengths)} to {max(lengths)} frames "
        f"from the {made['frames']} frames of {args['video']}."
    )


if __name__ == "__main__":
    main()
