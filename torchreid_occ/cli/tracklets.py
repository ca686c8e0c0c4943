"""Cuts the people out of a video and adds them to a dataset as tracklets.

torchreid-occ tracklets gate.mp4 --detector hog --camera 1 --out my-footage
"""

import argparse
from pathlib import Path

# Field of `TrackletOptions`: type, default, and what it is.
OPTIONS = {
    "min_height": (float, 32, "pixels of height that a box needs"),
    "min_length": (int, 8, "frames that a tracklet needs"),
    "max_gap": (float, 1.0, "seconds that a tracklet may miss"),
    "margin": (float, 0.0, "added around a box, as a share of its width and height"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("video", type=Path, help="or a folder of frames, such as img1")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--detections", metavar="FILE", help="MOTChallenge text, with or without ids"
    )
    source.add_argument(
        "--detector", metavar="NAME", help="hog, an ONNX file, or a name of torchvision's"
    )
    parser.add_argument("--camera", type=int, required=True, metavar="N", help="its number")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the dataset")
    parser.add_argument("--name", default="", help="of this recording; by default the video's")
    parser.add_argument("--fps", type=float, dest="frame_rate", help="if the video's is wrong")
    parser.add_argument(
        "--evaluate", type=Path, metavar="FILE", help="ground truth to compare the tracks with"
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Adds the options that all videos may have in common.

    Args:
        parser: The parser to fill, or a group of one.
    """
    parser.add_argument("--weights", metavar="FILE", help="own weights for a torchvision detector")
    parser.add_argument(
        "--min-score", type=float, help="of a detection that starts a track (0.7; hog: 1.5)"
    )
    for name, (kind, default, text) in OPTIONS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=kind, default=default, help=f"{text} (%(default)s)"
        )


def run(arguments: argparse.Namespace) -> None:
    """Adds the tracklets and prints how many there are.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording
    from torchreid_occ.footage.manifest import RECORDINGS
    from torchreid_occ.footage.recording import SHEET, TRACKS

    given = vars(arguments)
    if arguments.evaluate is not None and not arguments.evaluate.is_file():
        raise FileNotFoundError(f"There is no ground truth {arguments.evaluate}.")
    options = TrackletOptions(**{field: given[field] for field in TrackletOptions._fields})
    source = BoxSource(**{field: given[field] for field in BoxSource._fields})
    before = {*(arguments.out / RECORDINGS).glob("*.json")}
    made = add_recording(arguments.video, arguments.out, source, options, arguments.name)
    lengths = [len(tracklet["frames"]) for tracklet in made["tracklets"].values()]
    if arguments.out / RECORDINGS / f"{made.get('name')}.json" in before:
        print("They are there already: the same video, boxes and options.")
    sizes = f" of {min(lengths)} to {max(lengths)} frames" if lengths else ""  # all were erased
    print(
        f"{arguments.out} has {len(lengths)} tracklets{sizes} from the {made['frames']} "
        f"frames of {arguments.video}."
    )
    if arguments.evaluate is not None:
        _evaluate(arguments.out / RECORDINGS / f"{made.get('name')}.{TRACKS}", arguments.evaluate)
    sheet = arguments.out / RECORDINGS / f"{made.get('name')}.{SHEET}"
    if sheet.exists():  # versions before 0.2 wrote none
        print(f"Look through {sheet}, which marks tracklets to doubt.")


def _evaluate(tracks: Path, truth: Path) -> None:
    """Prints the scores of tracks."""
    from torchreid_occ.footage.evaluating import evaluate_tracks

    print(f"{evaluate_tracks(tracks, truth)} in {truth}.")
