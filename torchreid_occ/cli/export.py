"""Writes a trained model in a form that runs without this package, or as safetensors.

torchreid-occ export log/rfcnet/model/model.pth.tar-150 --format onnx --out rfcnet.onnx
"""

import argparse
from pathlib import Path

FORMATS = ("torch_export", "onnx", "safetensors")


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


def run(arguments: argparse.Namespace) -> None:
    """Exports the model; prints how far its features deviate, where they may.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.embedders import save_pretrained
    from torchreid_occ.export import export_model

    out = arguments.out
    if arguments.format == "safetensors":
        save_pretrained(arguments.checkpoint, out)
        print(f"Wrote {out}: TrackletExtractor.from_pretrained and `extract` take it.")
        return
    deviation = export_model(arguments.checkpoint, arguments.format, out)
    print(f"Wrote {out}: features deviate by {deviation:.1e} of the largest value at most.")
