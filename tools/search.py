"""Finds where else a person was seen: a gallery of tracklets on disk, and queries to it.

Examples:
    python tools/search.py index my-gallery my-footage/gallery --checkpoint model.pth.tar-60
    python tools/search.py query my-gallery --tracklet lost/anna --checkpoint model.pth.tar-60
    python tools/search.py list my-gallery
    python tools/search.py remove my-gallery 17 18
"""

import argparse
import sys
from pathlib import Path

from torchreid_occ import TrackletExtractor
from torchreid_occ.search import KINDS, Gallery, list_tracklets
from torchreid_occ.search.answer import as_json, as_lines, as_table
from torchreid_occ.search.page import write_page
from torchreid_occ.search.pipeline import add_to_gallery, search_for
from torchreid_occ.search.qdrant import QdrantCollection
from torchreid_occ.search.query import build_query
from torchreid_occ.utils.files import write_json


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("gallery", type=Path, help="folder of the gallery")

    def command(name, text):
        return commands.add_parser(name, help=text, description=text, parents=[shared])

    _add_index(command("index", "Adds tracklets; those that are there already are left alone."))
    _add_query(command("query", "Finds the tracklets nearest to a person."))
    remove = command("remove", "Removes tracklets.")
    remove.add_argument("ids", nargs="+", type=int, metavar="ID")
    command("list", "Lists all tracklets.")
    command("info", "Says what the gallery holds.")
    push = command("push", "Brings a collection of a Qdrant server to what the gallery holds.")
    push.add_argument("url", help="such as http://localhost:6333")
    push.add_argument("--collection", default="tracklets", metavar="NAME")
    return parser.parse_args(arguments)


def _add_index(parser):
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="of tracklets")
    parser.add_argument("-s", "--source", metavar="NAME", help="a dataset, in place of folders")
    parser.add_argument("--root", default="reid-data", metavar="DIR", help="of the datasets")
    parser.add_argument("--subset", choices=("train", "query", "gallery"), default="gallery")
    parser.add_argument("--split", type=int, default=0, metavar="N", help="of the dataset")
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="FILE")
    parser.add_argument("--camera", type=int, metavar="N", help="of all tracklets in the folders")
    parser.add_argument(
        "--kind", choices=KINDS, help="compare with all tracklets, or with the likely"
    )


def _add_query(parser):
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--tracklet", type=Path, metavar="FOLDER", help="a folder of frames")
    what.add_argument("--image", type=Path, metavar="FILE", help="one image")
    what.add_argument("--video", type=Path, metavar="FILE")
    parser.add_argument(
        "--box", type=float, nargs=4, metavar=("LEFT", "TOP", "WIDTH", "HEIGHT"),
        help="where the person is in the image, or stays in the video",
    )  # fmt: skip
    parser.add_argument("--tracks", type=Path, metavar="FILE", help="MOTChallenge's format")
    parser.add_argument("--track", type=int, metavar="ID", help="which of them")
    parser.add_argument(
        "--frames", type=int, nargs=2, metavar=("FIRST", "LAST"), help="of the video, from 1 on"
    )
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="FILE")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many (10)")
    parser.add_argument(
        "--other-than-camera", type=int, metavar="N", help="leave its tracklets out"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the answer there, too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="and as a page with the frames")


def index(args):
    tracklets = list_tracklets(
        args.folders,
        args.source,
        root=args.root,
        subset=args.subset,
        split_id=args.split,
        camera=args.camera,
    )
    gallery, added = add_to_gallery(args.gallery, tracklets, args.checkpoint, args.kind)
    print(f"{added} of {len(tracklets)} tracklets added: {len(gallery)} are in {args.gallery}.")


def query(args):
    gallery = Gallery(args.gallery)
    asked = build_query(
        folder=args.tracklet,
        image=args.image,
        video=args.video,
        box=args.box,
        tracks=args.tracks,
        track=args.track,
        span=args.frames,
    )
    extractor = TrackletExtractor(args.checkpoint)
    matches = search_for(gallery, extractor, asked, args.top, args.other_than_camera)
    print(as_table(matches))
    if args.json:
        write_json(args.json, as_json(gallery, asked, matches))
    if args.html:
        write_page(args.html, gallery, asked, matches)


def remove(args):
    gallery = Gallery(args.gallery)
    gallery.remove(args.ids)
    print(f"{len(args.ids)} tracklets removed: {len(gallery)} are in {args.gallery}.")


def list_(args):
    for line in as_lines(Gallery(args.gallery).tracklets()):
        print(line)


def info(args):
    gallery = Gallery(args.gallery)
    print(f"{len(gallery)} tracklets, index {gallery.kind}")
    print(f"{gallery.feature_dim} values each, of checkpoint {gallery.checkpoint_hash}")


def push(args):
    collection = QdrantCollection.at(args.url, args.collection)
    added, removed = collection.mirror(Gallery(args.gallery))
    print(f"{added} tracklets added to {args.collection}, {removed} removed.")


COMMANDS = {
    "index": index,
    "query": query,
    "remove": remove,
    "list": list_,
    "info": info,
    "push": push,
}


def main(arguments=None):
    args = parse_arguments(arguments)
    try:
        COMMANDS[args.command](args)
    except BrokenPipeError:  # `list` into a pager that was closed
        sys.stderr.close()
    except (ImportError, KeyError, OSError, ValueError) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        sys.exit(f"error: {message}")


if __name__ == "__main__":
    main()
