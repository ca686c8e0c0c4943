"""Writes a trained model in a form that runs without this package, or as safetensors.

torchreid-occ export log/rfcnet/model/model.pth.tar-150 --format onnx --out rfcnet.onnx
torchreid-occ export log/rfcnet/model/model.pth.tar-150 --format onnx --precision int8 --out i.onnx
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchreid_occ.export import Exported

FORMATS = ("torch_export", "onnx", "safetensors")
PRECISIONS = ("float32", "bfloat16", "int8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="file to write; a folder for safetensors",
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="float32",
        help="of the computation: int8 of onnx, bfloat16 of torch_export (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "-s", "--sources", nargs="+", metavar="NAME",
        help="datasets on whose training tracklets int8 is calibrated (the checkpoint's)",
    )  # fmt: skip
    parser.add_argument("--root", metavar="DIR", help="their folder (likewise)")


def run(arguments: argparse.Namespace) -> None:
    """Exports the model; prints how far its features deviate, where they may.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.embedders import save_pretrained
    from torchreid_occ.export import export_model

    out, precision = arguments.out, arguments.precision
    if arguments.format == "safetensors":
        if precision != "float32":
            raise ValueError(f"safetensors hold the weights in float32, not in {precision}.")
        save_pretrained(arguments.checkpoint, out)
        print(f"Wrote {out}: TrackletExtractor.from_pretrained and `extract` take it.")
        return
    exported = export_model(
        arguments.checkpoint, arguments.format, out, precision, arguments.sources, arguments.root
    )
    print(f"Wrote {out}: {_described(precision, exported)}")


def _described(precision: str, exported: "Exported") -> str:
    """Says how far the features are from those of the checkpoint in float32."""
    if precision == "float32":
        return f"features deviate by {exported.deviation:.1e} of the largest value at most."
    what = "training tracklets" if precision == "int8" else "clips of noise"
    cosines = f"mean cosine {exported.cosine:.5f}, least {exported.least_cosine:.5f}"
    left = f" Left in float32: {', '.join(exported.left)}." if exported.left else ""
    return f"in {precision}, features of {what} have {cosines} to those in float32.{left}"
