"""Extracts a feature of each tracklet of some folders or videos.

    torchreid-occ extract model.pth.tar-60 my-footage/gallery --out features.npz
    torchreid-occ extract model.pth.tar-60 my-footage/gallery --out features.parquet
    torchreid-occ extract model.pth.tar-60 videos.csv --footage my-footage --out features.parquet

A folder with images in it is a tracklet; folders are searched at any depth. A .csv file is a list
of videos, with the columns video, camera and, where needed, name, detections and fps: people are
cut out of them, as `torchreid-occ tracklets` does, into the dataset --footage. Videos without a
file of detections need --detector.

The .npz file holds `features` (N, D), `names` (N) and `cameras` (N), and `checkpoint`, the SHA-256
of the checkpoint. A .npy file holds the features alone, in the order that is printed. A .parquet
folder gets a file for each video and for each 64 tracklets, with frames, cameras, times, boxes and
features; the same command continues after a kill. --ray extracts on a Ray cluster: 'local' for
one in this machine, 'auto' or HOST:PORT for one that this machine is a node of.
"""

import argparse
import sys
from pathlib import Path

from torchreid_occ.cli.parser import add_backend
from torchreid_occ.cli.tracklets import OPTIONS, add_options

PARQUET, LIST = ".parquet", ".csv"
SUFFIXES = (".npz", ".npy", PARQUET)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT",
        help="of a run, an ONNX file, or a published name such as osnet_x1_0_msmt17",
    )  # fmt: skip
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="SOURCE",
        help=f"a folder of tracklets, or a list of videos ({LIST})",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=_output, required=True, metavar="FILE",
        help=f"{' or '.join(SUFFIXES[:-1])} file, or {PARQUET} folder",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="clips in a batch; the checkpoint's"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="that read images; likewise")
    add_backend(parser)
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="that compute on a CPU; PyTorch's"
    )
    parser.add_argument("--ray", metavar="ADDRESS", help="of a Ray cluster; local starts one")
    group = parser.add_argument_group("videos")
    group.add_argument("--footage", type=Path, metavar="FOLDER", help="dataset to add people to")
    group.add_argument(
        "--detector", metavar="NAME", help="hog, an ONNX file, or a name of torchvision's"
    )
    add_options(group)


def _output(text: str) -> Path:
    path = Path(text)
    if path.suffix not in SUFFIXES:
        raise argparse.ArgumentTypeError(
            f"{text} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )
    return path


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)


def run(arguments: argparse.Namespace) -> None:
    """Extracts and writes the features, and prints what was done.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.embedders import check_embedder

    check_embedder(arguments.checkpoint)
    if arguments.out.suffix == PARQUET:
        _extract_to_parquet(arguments)
        return
    lists = [source for source in arguments.sources if source.suffix == LIST]
    if lists or arguments.ray:
        what = f"the list of videos {lists[0]}" if lists else "a cluster"
        raise ValueError(
            f"{arguments.out} is one file, but {what} gives many: name a folder of Parquet files, "
            f"--out {arguments.out.with_suffix(PARQUET)}."
        )
    _extract_to_arrays(arguments)


def _extract_to_arrays(arguments: argparse.Namespace) -> None:
    """Writes one file and prints the names of the tracklets."""
    import numpy as np

    from torchreid_occ.extraction.work import threads
    from torchreid_occ.extractor import TrackletExtractor
    from torchreid_occ.search import list_tracklets
    from torchreid_occ.utils.files import check_replaceable, replacing

    tracklets = list_tracklets(arguments.sources)
    check_replaceable(arguments.out)
    with threads(arguments.threads):
        extractor = TrackletExtractor(
            arguments.checkpoint,
            batch_size=arguments.batch_size,
            workers=arguments.workers,
            backend=arguments.backend,
            precision=arguments.precision,
        )
        features = extractor([tracklet.frames for tracklet in tracklets]).numpy()
    names = [tracklet.name for tracklet in tracklets]
    with replacing(arguments.out) as file:
        if arguments.out.suffix == ".npy":
            np.save(file, features)
        else:
            cameras = [-1 if each.camera is None else each.camera for each in tracklets]
            np.savez(
                file,
                features=features,
                names=np.array(names),
                cameras=np.array(cameras),
                checkpoint=np.array(extractor.checkpoint_hash),
            )
    print("\n".join(names))
    print(f"{arguments.out}: {len(features)} features of {features.shape[1]} values")
    print(extractor.provenance)


def _extract_to_parquet(arguments: argparse.Namespace) -> None:
    """Writes a folder of Parquet files and prints the counts.

    Raises:
        SystemExit: With status 1 if some videos or tracklets could not be read.
    """
    from torchreid_occ.extraction import extract_to_parquet, folder_units, video_units
    from torchreid_occ.extraction.units import Unit
    from torchreid_occ.footage import TrackletOptions

    lists = [source for source in arguments.sources if source.suffix == LIST]
    if bool(lists) != (arguments.footage is not None):
        raise ValueError(
            f"Videos ({LIST}) and the dataset to which their people are added (--footage FOLDER) "
            "belong together: give both or neither."
        )
    units: list[Unit] = [*folder_units([one for one in arguments.sources if one not in lists])]
    if lists:
        shared = {name: getattr(arguments, name) for name in (*OPTIONS, "min_score")}
        boxes = (arguments.footage, arguments.detector, arguments.weights)
        units += video_units(lists, *boxes, TrackletOptions(0, **shared))
    done = extract_to_parquet(
        arguments.out,
        arguments.checkpoint,
        units,
        ray=arguments.ray,
        threads=arguments.threads,
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        backend=arguments.backend,
        precision=arguments.precision,
    )
    for outcome in done.failed:
        what = "" if outcome.label in outcome.error else f"{outcome.label}: "
        print(f"Not done: {what}{outcome.error}", file=sys.stderr)
    if done.before:
        print(f"{done.before} files were there already.")
    if done.empty:
        print(f"Nobody is seen for long enough in {len(done.empty)}, such as {done.empty[0]}.")
    print(f"{arguments.out}: {done.tracklets} tracklets extracted.")
    print(done.provenance)
    if done.failed:
        sys.exit(f"error: {len(done.failed)} were not done, for the reasons above.")
