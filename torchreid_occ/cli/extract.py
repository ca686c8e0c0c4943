"""Extracts a feature of each tracklet of some folders.

    torchreid-occ extract model.pth.tar-60 my-footage/gallery --out features.npz

A folder with images in it is a tracklet; folders are searched at any depth. The .npz file holds
`features` (N, D), `names` (N) and `cameras` (N), and `checkpoint`, the SHA-256 of the checkpoint.
A .npy file holds the features alone, in the order that is printed.
"""

import argparse
from pathlib import Path

SUFFIXES = (".npz", ".npy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT",
        help="of a run, an ONNX file, or a published name such as osnet_x1_0_msmt17",
    )  # fmt: skip
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of tracklets")
    parser.add_argument(
        "--out", type=_output, required=True, metavar="FILE", help=f"{' or '.join(SUFFIXES)} file"
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="clips in a batch; the checkpoint's"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="that read images; likewise")


def _output(text: str) -> Path:
    path = Path(text)
    if path.suffix not in SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text} must end in {' or '.join(SUFFIXES)}")
    return path


def run(arguments: argparse.Namespace) -> None:
    """Extracts and writes the features, and prints the names of the tracklets.

    Args:
        arguments: The parsed command line.
    """
    import numpy as np

    from torchreid_occ.embedders import check_embedder
    from torchreid_occ.extractor import TrackletExtractor
    from torchreid_occ.search import list_tracklets
    from torchreid_occ.utils.files import replacing

    check_embedder(arguments.checkpoint)
    tracklets = list_tracklets(arguments.folders)
    extractor = TrackletExtractor(
        arguments.checkpoint, batch_size=arguments.batch_size, workers=arguments.workers
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
