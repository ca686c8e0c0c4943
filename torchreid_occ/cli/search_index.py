"""`torchreid-occ search index`: adds tracklets of folders, a dataset, or features as Parquet."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from torchreid_occ.cli.parser import CHECKPOINT, add_backend

if TYPE_CHECKING:
    from torchreid_occ.search import Gallery, GalleryTracklet
    from torchreid_occ.search.pipeline import Indexed

KINDS = ("exact", "hnsw", "codes")
PARQUET = ".parquet"


def add_index(parser: argparse.ArgumentParser) -> None:
    """Adds the options.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument(
        "sources", nargs="*", default=[], type=Path, metavar="SOURCE",
        help=f"a folder of tracklets, or features that `extract` wrote ({PARQUET})",
    )  # fmt: skip
    parser.add_argument("-s", "--source", metavar="NAME", help="a dataset, in place of folders")
    parser.add_argument("--root", default="reid-data", metavar="DIR", help="of the datasets")
    parser.add_argument("--subset", choices=("train", "query", "gallery"), default="gallery")
    parser.add_argument("--split", type=int, default=0, metavar="N", help="of the dataset")
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help=CHECKPOINT)
    add_backend(parser)
    parser.add_argument("--camera", type=int, metavar="N", help="of all tracklets in the folders")
    parser.add_argument(
        "--kind", choices=KINDS, help="compare with all, by a graph, or by short codes for millions"
    )
    parser.add_argument(
        "--renew", action="store_true",
        help="extract those anew whose frames have changed since they were indexed",
    )  # fmt: skip


def index_gallery(arguments: argparse.Namespace) -> None:
    """Indexes, and prints what was done and what is to be done.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.embedders import check_embedder
    from torchreid_occ.search.erasure import choose, erase
    from torchreid_occ.search.judging import carry_calibration

    check_embedder(arguments.checkpoint)  # before a dataset is read or rendered
    tables = [source for source in arguments.sources if source.suffix == PARQUET]
    gallery, done = _add_table(arguments) if tables else _add_tracklets(arguments)
    added = f"{done.added} of {done.given} tracklets added"
    print(f"{added}: {len(gallery)} are in {gallery.address}.")
    if carry_calibration(gallery, arguments.checkpoint):
        print("It carries the checkpoint's calibration: answers have probabilities and verdicts.")
    _say_more(done)
    if gallery.retention is not None:
        expired = choose(gallery, expired=True)
        if expired.ids:
            erased = erase(gallery, expired).tracklets
            print(
                f"{erased} tracklets erased, as they were past the gallery's retention. Those "
                "whose frames are still in an indexed folder are added again by the next `search "
                "index`: `search erase --expired --with-frames` before it deletes both."
            )


def _add_tracklets(arguments: argparse.Namespace) -> "tuple[Gallery, Indexed]":
    from torchreid_occ.search import list_tracklets
    from torchreid_occ.search.pipeline import add_to_gallery

    tracklets = list_tracklets(
        arguments.sources,
        arguments.source,
        root=arguments.root,
        subset=arguments.subset,
        split_id=arguments.split,
        camera=arguments.camera,
    )
    return add_to_gallery(
        arguments.gallery,
        tracklets,
        arguments.checkpoint,
        arguments.kind,
        arguments.renew,
        arguments.backend,
        arguments.precision,
    )


def _add_table(arguments: argparse.Namespace) -> "tuple[Gallery, Indexed]":
    from torchreid_occ.search.pipeline import add_features_to_gallery

    others = {
        "further sources": len(arguments.sources) > 1, "-s": arguments.source,
        "--camera": arguments.camera is not None, "--backend": arguments.backend,
        "--precision": arguments.precision,
    }  # fmt: skip
    given = [name for name, value in others.items() if value]
    if given:
        raise ValueError(
            f"Features ({PARQUET}) are indexed as they are, without {', '.join(given)}: name one "
            "table alone."
        )
    (table,) = arguments.sources
    return add_features_to_gallery(
        arguments.gallery, table, arguments.checkpoint, arguments.kind, arguments.renew
    )


def _say_more(done: "Indexed") -> None:
    """Says what else than adding was done or is to be done."""
    from torchreid_occ.search.answer import printable

    for name, first in [*done.plan.repeated.items()][:1]:
        print(
            f"{len(done.plan.repeated)} left out, whose frames are there under another name, such "
            f"as {printable(name)}: it is {printable(first)}."
        )
    for number, stored in [*done.plan.other_camera.items()][:1]:
        print(
            f"{len(done.plan.other_camera)} keep the camera that they were indexed with, such as "
            f"{printable(stored.name)}, id {number}: {_camera(stored)}. Remove them first to index "
            "them with another."
        )
    changed, unknown = len(done.plan.changed), len(done.plan.unknown)
    if done.renewed:
        print(f"{done.renewed} extracted anew, under new ids.")
        return
    for tracklet in [*done.plan.changed.values()][:1]:
        print(
            f"{changed} have other frames than when they were indexed, such as "
            f"{printable(tracklet.name)}: --renew extracts them anew."
        )
    if unknown:
        print(
            f"Of {unknown} it is not known whether their frames have changed, as nothing was "
            "recorded of them: --renew extracts them anew."
        )


def _camera(tracklet: "GalleryTracklet") -> str:
    return "no camera" if tracklet.camera is None else f"camera {tracklet.camera}"
