"""`torchreid-occ search export`: a gallery for other tools."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchreid_occ.search import Gallery

FORMATS = ("parquet", "mot", "cvat")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PATH",
        help="a file for parquet; else a folder, with a file for each recording",
    )  # fmt: skip


def export_gallery(gallery: "Gallery", arguments: argparse.Namespace) -> None:
    """Writes the tracklets of a gallery.

    Args:
        gallery: The gallery.
        arguments: The parsed command line.
    """
    if arguments.format == "parquet":
        from torchreid_occ.search.parquet import write_gallery_table

        print(f"{arguments.out}: {write_gallery_table(arguments.out, gallery)} tracklets")
        return
    from torchreid_occ.search.annotations import write_annotations

    written = write_annotations(arguments.out, gallery.tracklets(), arguments.format)
    print("\n".join(map(str, written.files)))
    print(f"{written.tracklets} tracklets, {written.left_out} left out, which are of no video.")
