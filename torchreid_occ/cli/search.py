"""Finds where else a person was seen: a gallery of tracklets on disk, and queries to it.

torchreid-occ search index my-gallery my-footage/gallery --checkpoint model.pth.tar-60
torchreid-occ search query my-gallery --tracklet lost/anna
torchreid-occ search serve my-gallery
torchreid-occ search list my-gallery
torchreid-occ search erase my-gallery --person anna
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from torchreid_occ.cli.parser import CHECKPOINT, GALLERY, gallery_place
from torchreid_occ.cli.search_export import add_export, export_gallery
from torchreid_occ.cli.search_index import add_index, index_gallery

if TYPE_CHECKING:
    from torchreid_occ.search import Gallery, Match


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the commands of the gallery and their options.

    Args:
        parser: The parser to fill.
    """
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("gallery", type=gallery_place, help=GALLERY)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[shared])

    add_index(command("index", "Adds tracklets; those already in the gallery stay as they are."))
    _add_query(command("query", "Finds the tracklets nearest to a person."))
    remove = command("remove", "Removes tracklets.")
    remove.add_argument("ids", nargs="+", type=int, metavar="ID")
    _add_erase(
        command("erase", "Removes tracklets so that no file of the gallery holds anything of them.")
    )
    retain = command("retain", "Sets how long tracklets are kept: `index` erases older ones.")
    retain.add_argument("duration", help="such as 30d, 12h or 8w; 'forever' for no limit")
    command("list", "Lists all tracklets.")
    command("info", "Shows what the gallery holds.")
    serve = command("serve", "Shows a page on which to pick a person or draw a box, and search.")
    _add_checkpoint(serve)
    serve.add_argument(
        "--host", default="127.0.0.1",
        help="address to listen on (%(default)s, which only this machine reaches)",
    )  # fmt: skip
    serve.add_argument("--port", type=int, default=8008, metavar="N", help="(%(default)s)")
    add_export(command("export", "Writes the tracklets for other tools."))


def _add_query(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--tracklet", type=Path, metavar="FOLDER", help="a folder of frames")
    what.add_argument("--image", type=Path, metavar="FILE", help="one image")
    what.add_argument("--video", type=Path, metavar="FILE")
    parser.add_argument(
        "--box", type=float, nargs=4, metavar=("LEFT", "TOP", "WIDTH", "HEIGHT"),
        help="where the person is in the image, stays in the video, or is in one --frame of it",
    )  # fmt: skip
    parser.add_argument(
        "--tracks", "--detections", type=Path, metavar="FILE",
        help="MOTChallenge's format; detections, too, to follow the person in the box",
    )  # fmt: skip
    parser.add_argument("--track", type=int, metavar="ID", help="which of them")
    parser.add_argument(
        "--detector", metavar="NAME", help="follows the person in the box, in place of a file"
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="own weights for the detector")
    parser.add_argument(
        "--frame", type=int, metavar="N", help="of the box of a person to follow, from 1 on"
    )
    parser.add_argument(
        "--frames", type=int, nargs=2, metavar=("FIRST", "LAST"), help="of the video, from 1 on"
    )
    _add_checkpoint(parser)
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many (10)")
    parser.add_argument(
        "--other-than-camera",
        type=int,
        nargs="+",
        metavar="N",
        help="leave their tracklets out; a single one is taken to be the camera that saw the query",
    )
    parser.add_argument(
        "--keep-same-frames", action="store_true",
        help="show tracklets that hold the frames of the query itself, too",
    )  # fmt: skip
    parser.add_argument(
        "--false-matches", type=float, metavar="RATE",
        help="of searches for absent people, the share that may find somebody; with a calibration",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the answer there, too")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="likewise, a row for each frame")
    parser.add_argument(
        "--parquet", type=Path, metavar="FILE", help="likewise, a row for each match"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="and as a page with the frames")


def _add_erase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", default=[], type=int, metavar="ID")
    parser.add_argument("--person", metavar="P", help="whose folder is above those of tracklets")
    parser.add_argument("--older-than", metavar="AGE", help="since it was added, such as 30d")
    parser.add_argument("--expired", action="store_true", help="older than the gallery's retention")
    parser.add_argument(
        "--with-frames", action="store_true",
        help="delete the images as well, and what recordings hold of the tracklets",
    )  # fmt: skip


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", metavar="FILE", help=f"{CHECKPOINT}; the one it was indexed with"
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs a command of the gallery.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.search import Gallery

    if arguments.command == "index":
        index_gallery(arguments)
        return
    action = {
        "query": _query, "serve": _serve, "remove": _remove, "erase": _erase, "retain": _retain,
        "list": _list, "info": _info, "export": export_gallery,
    }  # fmt: skip
    action[arguments.command](Gallery(arguments.gallery), arguments)


def _query(gallery: "Gallery", arguments: argparse.Namespace) -> None:
    from torchreid_occ.embedders import check_embedder
    from torchreid_occ.extractor import TrackletExtractor
    from torchreid_occ.search.answer import as_csv, as_json, as_table, printable, promise_of
    from torchreid_occ.search.contents import State
    from torchreid_occ.search.judging import judge_of
    from torchreid_occ.search.page import write_page
    from torchreid_occ.search.parquet import write_answer_table
    from torchreid_occ.search.pipeline import checkpoint_for, search_elsewhere, search_for
    from torchreid_occ.search.query import build_query
    from torchreid_occ.search.sightings import sightings
    from torchreid_occ.utils.files import write_json, write_text

    checkpoint = checkpoint_for(gallery, arguments.checkpoint)
    check_embedder(checkpoint)  # before a video is read
    query = build_query(
        folder=arguments.tracklet,
        image=arguments.image,
        video=arguments.video,
        box=arguments.box,
        tracks=arguments.tracks,
        track=arguments.track,
        span=arguments.frames,
        frame=arguments.frame,
        detector=arguments.detector,
        weights=arguments.weights,
    )
    judge = judge_of(gallery, checkpoint, arguments.false_matches)
    extractor = TrackletExtractor(checkpoint, workers=0)  # of one tracklet, so none help
    search = gallery, extractor, query, arguments.top, arguments.other_than_camera
    same: list[Match] = []
    if arguments.keep_same_frames:
        matches = search_for(*search, judge)
    else:
        matches, same = search_elsewhere(*search, judge)
    print(as_table(matches))
    if promise := promise_of(matches):
        print(f"\n{promise}")
    if others := [known for known in gallery.precisions if known != extractor.precision]:
        print(
            f"\nFeatures in the gallery were computed in {' and '.join(others)}, the query's in "
            f"{extractor.precision}: distances are not exactly those of one precision."
        )
    left_out = [printable(match.tracklet.name) for match in same]
    if left_out:
        names = ", ".join(left_out)
        print(f"\nLeft out, as they hold the query's own frames: {names} (--keep-same-frames).")
    changed = [one for one in sightings(matches) if one.state is State.CHANGED]
    if changed:
        names = ", ".join(printable(one.match.tracklet.name) for one in changed)
        print(
            f"\nThe frames of {names} have changed since they were indexed, and the distances are "
            "those of the former ones: `search index --renew` extracts them anew."
        )
    if arguments.csv:
        write_text(arguments.csv, as_csv(matches))
    print(f"\n{extractor.provenance}")
    if arguments.parquet:
        write_answer_table(arguments.parquet, matches, gallery.checkpoint_hash)
    if arguments.json:
        write_json(arguments.json, as_json(gallery, query, matches, extractor.provenance))
    if arguments.html:
        write_page(arguments.html, gallery, query, matches, extractor.provenance, same)


def _serve(gallery: "Gallery", arguments: argparse.Namespace) -> None:
    from torchreid_occ.embedders import check_embedder
    from torchreid_occ.search.pipeline import checkpoint_for
    from torchreid_occ.search.server import serve

    checkpoint = checkpoint_for(gallery, arguments.checkpoint)
    check_embedder(checkpoint)
    serve(arguments.gallery, checkpoint, arguments.host, arguments.port)


def _remove(gallery: "Gallery", arguments: argparse.Namespace) -> None:
    gallery.remove(arguments.ids)
    print(f"{len(arguments.ids)} tracklets removed: {len(gallery)} are in {gallery.address}.")


def _erase(gallery: "Gallery", arguments: argparse.Namespace) -> None:
    from torchreid_occ.search.erasure import choose, erase, other_files
    from torchreid_occ.utils.durations import parse_duration

    age = arguments.older_than
    choice = choose(
        gallery,
        ids=arguments.ids,
        person=arguments.person,
        older_than=None if age is None else parse_duration(age),
        expired=arguments.expired,
    )
    erased = erase(gallery, choice, with_frames=arguments.with_frames)
    deleted = f" and {erased.frames} of their frames deleted" if arguments.with_frames else ""
    print(f"{erased.tracklets} tracklets erased{deleted}: {len(gallery)} are in {gallery.address}.")
    if erased.missing:
        print(
            f"{erased.missing} frames were not where they were indexed: if their folders have "
            "moved, delete them there, or `search index` adds them again."
        )
    unknown = len(gallery.added_before(None))
    if choice.chosen_by in ("age", "retention") and unknown:
        print(f"Of {unknown} tracklets the age is not known, as 0.2.0 added them: they are left.")
    others = other_files(gallery)
    if others:
        print(
            f"{len(others)} files in the folder are not the gallery's, such as {others[0]}: look "
            "whether they show somebody who was erased."
        )


def _retain(gallery: "Gallery", arguments: argparse.Namespace) -> None:
    from torchreid_occ.utils.durations import parse_duration

    forever = arguments.duration == "forever"
    gallery.retention = None if forever else parse_duration(arguments.duration)
    print(f"{gallery.address} keeps tracklets {'' if forever else 'for '}{arguments.duration}.")


def _list(gallery: "Gallery", arguments: argparse.Namespace) -> None:
    from torchreid_occ.search.answer import as_lines

    for line in as_lines(gallery.tracklets()):
        print(line)


def _info(gallery: "Gallery", arguments: argparse.Namespace) -> None:
    from torchreid_occ.search.erasure import choose
    from torchreid_occ.utils.durations import format_duration

    print(f"{len(gallery)} tracklets, index {gallery.kind}")
    print(f"{gallery.feature_dim} values each, of checkpoint {gallery.checkpoint_hash}")
    if gallery.checkpoint:
        print(f"which was {gallery.checkpoint}")
    if gallery.precisions:
        known = ["the file's own precision" if p == "own" else p for p in gallery.precisions]
        print(f"computed in {' and '.join(known)}")
    if gallery.retention is not None:
        expired = len(choose(gallery, expired=True).ids)
        print(f"kept for {format_duration(gallery.retention)}; {expired} are older")
