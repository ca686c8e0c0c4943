"""Learns which distances mean the same person, from people whom the checkpoint has not seen.

    torchreid-occ calibrate log/rfcnet/model/model.pth.tar-150 -s my_dataset --root reid-data

The file CHECKPOINT.calibration.npz is written beside the checkpoint. Galleries that are indexed
with it afterwards carry it; answers then have a probability, and a verdict at a rate of false
matches.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT",
        help="of a run, an ONNX file, or a published name such as osnet_x1_0_msmt17",
    )  # fmt: skip
    parser.add_argument("-s", "--source", required=True, metavar="NAME", help="the dataset")
    parser.add_argument("--root", default="reid-data", metavar="DIR", help="of the datasets")
    parser.add_argument("--split", type=int, default=0, metavar="N", help="of the dataset")
    parser.add_argument(
        "--false-matches", type=float, default=0.01, metavar="RATE",
        help="share of the searches for absent people that may find somebody, to measure at (0.01)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="in place of the default")


def run(arguments: argparse.Namespace) -> None:
    """Calibrates and prints what was measured.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.calibration import calibrate, calibration_path
    from torchreid_occ.embedders import check_embedder, embedder_file

    check_embedder(arguments.checkpoint)  # before a dataset is read or rendered
    found = calibrate(
        arguments.checkpoint,
        arguments.source,
        arguments.root,
        arguments.split,
        arguments.false_matches,
        arguments.out,
    )
    about = found.about
    file = arguments.out or calibration_path(embedder_file(arguments.checkpoint))
    print(
        f"{file}: {about['identities']} people, "
        f"{about['queries']} queries, {about['gallery']} gallery tracklets; {about['cohort']} "
        "tracklets of other people to compare with"
    )
    if about["measured"] is None:
        print("Too few people or queries to measure it on a half that it was not fitted to.")
    else:
        print(_table(about["measured"]))


def _table(measured: Mapping[str, Any]) -> str:
    """Formats what was measured as a Markdown table."""
    from torchreid_occ.utils.tables import markdown_table

    rows = [
        (title, f"{rates['tpir']:.1%}", f"{rates['fpir']:.2%}")
        for title, rates in (
            ("calibrated", measured["calibrated"]),
            ("one threshold on the distance", measured["one_threshold"]),
        )
    ]
    promise = f"{measured['promised_fpir']:g}"
    header = ("verdict", "people found (TPIR)", f"false finds (FPIR, promised {promise})")
    errors = ", ".join(
        f"{measured[part]['expected_calibration_error']:.1%} of {text}"
        for part, text in (("best", "best matches"), ("answers", "all of an answer"))
    )
    return (
        f"Measured on the other half of the people, mean over {measured['divisions']} divisions; "
        f"half of those searched for are absent:\n\n{markdown_table(header, rows)}\n"
        f"Expected calibration error of the probabilities: {errors}."
    )
