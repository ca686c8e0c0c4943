"""Draws what a trained model does to a tracklet.

Example: python tools/visualize.py log/rfcnet/model/model.pth.tar-150 --tracklet 3 --out pictures
"""

import argparse
import sys
from pathlib import Path

from torchreid_occ.config import plain
from torchreid_occ.data.datasets.base import frames_in
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.runs.builders import load_trained_model
from torchreid_occ.visualization.pictures import draw_pictures


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--tracklet",
        default="0",
        metavar="N|FOLDER",
        help="number of a query of the model's first target, or a folder of frames",
    )
    parser.add_argument("--frames", type=int, default=8, help="how many of its frames, evenly")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the PNGs")
    return parser.parse_args(arguments)


def frames_of(arguments):
    """Paths of the tracklet's frames."""
    if not arguments.tracklet.isdecimal():
        frames = frames_in(Path(arguments.tracklet))
    else:
        _, config = load_trained_model(arguments.checkpoint)
        name = (config.data.targets or config.data.sources)[0]
        options = plain(config.data.options).get(name)
        dataset = load_dataset(name, config.data.root, config.data.split_id, options=options)
        queries = tracklets_of(dataset)["query"]
        if int(arguments.tracklet) >= len(queries):
            raise ValueError(f"{name} has queries 0 to {len(queries) - 1}.")
        frames = queries[int(arguments.tracklet)][0]
    if arguments.frames < 1:
        raise ValueError(f"--frames is {arguments.frames}, but must be at least 1.")
    step = max(1, len(frames) // arguments.frames)
    return frames[::step][: arguments.frames]


def main(arguments=None):
    args = parse_arguments(arguments)
    try:
        paths = draw_pictures(args.checkpoint, frames_of(args), args.out)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print("\n".join(map(str, paths)))


if __name__ == "__main__":
    main()
