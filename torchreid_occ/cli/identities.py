"""Groups the tracklets of a gallery into people, across cameras.

    torchreid-occ identities my-gallery --html people.html
    torchreid-occ identities my-gallery --merge 12 40 --split 7 9 --html people.html

The gallery must carry a calibration (torchreid-occ calibrate, before search index). The page shows
the least certain decisions first, each with the correction that would change it. Corrections are
kept in the gallery, and people keep their numbers when tracklets are added.
"""

import argparse
from pathlib import Path

from torchreid_occ.cli.parser import GALLERY, gallery_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument("gallery", type=gallery_place, help=GALLERY)
    for name, text in (
        ("merge", "the tracklets with these ids are one person"),
        ("split", "they are two people"),
        ("forget", "remove the correction of these two"),
    ):
        parser.add_argument(
            f"--{name}", type=int, nargs=2, action="append", default=[], metavar="ID", help=text
        )
    parser.add_argument("--travel-times", type=Path, metavar="FILE", help="JSON, see the docs")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page to look through")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row for each tracklet")
    parser.add_argument("--json", type=Path, metavar="FILE", help="people and decisions")
    parser.add_argument("--parquet", type=Path, metavar="FILE", help="a row for each tracklet")
    parser.add_argument("--mot", type=Path, metavar="FOLDER", help="MOT text of each recording")
    parser.add_argument(
        "--evaluate", type=Path, metavar="FILE",
        help="ground truth of the recording, if --mot writes only one",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Finds the people, writes what was asked for, and prints how many there are.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.footage.evaluating import evaluate_tracks
    from torchreid_occ.identities import correct, update_identities
    from torchreid_occ.identities.exporting import as_csv, as_json, write_mot, write_table
    from torchreid_occ.identities.page import write_page
    from torchreid_occ.identities.times import read_travel, recording_of
    from torchreid_occ.search import Gallery
    from torchreid_occ.search.judging import find_calibration
    from torchreid_occ.utils.files import write_json, write_text

    gallery = Gallery(arguments.gallery)
    calibration = find_calibration(gallery, gallery.checkpoint)
    if calibration is None:
        raise ValueError(
            f"{gallery.place} carries no calibration: `torchreid-occ calibrate` makes one beside "
            "the checkpoint."
        )
    if arguments.evaluate is not None and not (arguments.mot and arguments.evaluate.is_file()):
        raise ValueError(
            f"The ground truth {arguments.evaluate} must be there, and a folder for MOT text named."
        )
    travel = None if arguments.travel_times is None else read_travel(arguments.travel_times)
    correct(gallery, arguments.merge, arguments.split, arguments.forget)
    found = update_identities(gallery, calibration, travel)
    print(f"{len(found.people)} people in {len(found.tracklets)} tracklets.")
    without = sum(recording_of(one) is None for one in found.tracklets.values())
    if without:
        print(
            f"{without} of them have no time: nothing is known of who was seen at once with them."
        )
    if arguments.csv:
        write_text(arguments.csv, as_csv(found))
    if arguments.json:
        write_json(arguments.json, as_json(found))
    if arguments.parquet:
        write_table(arguments.parquet, found, gallery.checkpoint_hash)
    if arguments.mot:
        written = write_mot(found, arguments.mot)
        print("\n".join(map(str, written)))
        if arguments.evaluate is not None:
            if len(written) > 1:
                raise ValueError(
                    f"The ground truth is of one recording, but there are {len(written)}."
                )
            print(f"{evaluate_tracks(written[0], arguments.evaluate)} in {arguments.evaluate}.")
    if arguments.html:
        write_page(arguments.html, gallery, found)
