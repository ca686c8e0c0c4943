"""Makes the supervision that a dataset lacks: key point lines and foreground maps of its frames.

    python tools/make_targets.py -s tracklet_folder --root my-footage --out my-footage/targets

Torchvision's key point and mask R-CNN look at every frame of train, query and gallery. Their
weights are torchvision's, downloaded on first use, or files of yours. The same command continues
where it was killed. The folder then holds what data.keypoints and data.foreground name, and
report.md, which says and shows how good it is.
"""

import argparse
import logging
import sys
from pathlib import Path

from torchreid_occ.annotate import FinderOptions, annotate_dataset
from torchreid_occ.utils.weights import WeightsUnavailable


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-s", "--source", required=True, metavar="NAME", help="the dataset")
    parser.add_argument("--root", default="reid-data", metavar="DIR", help="folder of the datasets")
    parser.add_argument("--split", type=int, default=0, metavar="N", help="split of the dataset")
    parser.add_argument(
        "--option", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
        help="of the dataset, such as: -s completed --option path log/vrstc/complete/copy",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument("--tracklets", type=int, metavar="N", help="of each subset only: a trial")
    parser.add_argument("--keypoint-weights", metavar="FILE", help="of keypointrcnn_resnet50_fpn")
    parser.add_argument("--segmentation-weights", metavar="FILE", help="of maskrcnn_resnet50_fpn")
    parser.add_argument(
        "--height", type=int, metavar="N", help="frames are enlarged to it (the network's, or 512)"
    )
    parser.add_argument("--min-score", type=float, default=0.5, help="of a person")
    parser.add_argument("--min-keypoint-score", type=float, default=2.0, help="of a visible one")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="frames at once")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="that read images")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        print(run(args))
    except KeyboardInterrupt:
        sys.exit("Interrupted; the same command continues it.")
    except (OSError, ValueError, WeightsUnavailable) as error:
        sys.exit(f"error: {error}")


def run(args):
    """Annotates the dataset and returns the path of the report."""
    options = FinderOptions(
        args.keypoint_weights,
        args.segmentation_weights,
        args.height,
        args.min_score,
        args.min_keypoint_score,
    )
    return annotate_dataset(
        args.source,
        args.root,
        args.out,
        split_id=args.split,
        dataset_options=dict(args.option),
        max_tracklets=args.tracklets,
        finder_options=options,
        batch_size=args.batch_size,
        workers=args.workers,
    )


if __name__ == "__main__":
    main()
