"""Tracklets of a gallery and answers as Parquet, for pandas, DuckDB, Spark and the like."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from torchreid_occ._types import StrPath
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.protocol import Match
from torchreid_occ.search.sightings import sightings
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.files import replacing
from torchreid_occ.utils.progress import progress

BLOCK = 4096  # tracklets of a row group


def write_gallery_table(path: StrPath, gallery: Gallery) -> int:
    """Writes the tracklets of a gallery with their features, a row each, ordered by id.

    The columns are id, name, camera, start, end, frames and feature. The schema's metadata names
    the checkpoint, under ``torchreid_occ``.

    Args:
        path: The file.
        gallery: The gallery.

    Returns:
        The number of rows.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    arrow, parquet = _arrow()
    about = {"checkpoint_hash": gallery.checkpoint_hash, "gallery": gallery.uuid}
    schema = arrow.schema(
        [*_fields(), ("feature", arrow.list_(arrow.float32(), gallery.feature_dim))],
        metadata={"torchreid_occ": json.dumps(about)},
    )
    count = 0
    with replacing(path) as file, parquet.ParquetWriter(file, schema) as writer:
        entries = progress(gallery.entries(), "writing", len(gallery), "tracklet")
        for block in _blocks(entries):
            columns = _columns([number for number, *_ in block], [one for _, one, _ in block])
            flat = np.concatenate([feature for *_, feature in block])
            values = arrow.array(flat, arrow.float32())
            feature = arrow.FixedSizeListArray.from_arrays(values, gallery.feature_dim)
            writer.write_table(arrow.table([*columns.values(), feature], schema=schema))
            count += len(block)
    return count


def write_answer_table(path: StrPath, matches: Sequence[Match], checkpoint_hash: str) -> None:
    """Writes matches, a row each, nearest first.

    The columns are rank, distance, those of `write_gallery_table` without the feature, state, and,
    of tracklets that were cut out of a video, video, video_frames, seconds and boxes (left, top,
    width and height in pixels).

    Args:
        path: The file.
        matches: The matches, nearest first.
        checkpoint_hash: Hash of the checkpoint of the distances.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    arrow, parquet = _arrow()
    found = sightings(matches)
    where = [one.where for one in found]
    schema = arrow.schema(
        [
            ("rank", arrow.int32()),
            ("distance", arrow.float64()),
            *_fields(),
            ("state", arrow.string()),
            ("video", arrow.string()),
            ("video_frames", arrow.list_(arrow.int64())),
            ("seconds", arrow.list_(arrow.float64())),
            ("boxes", arrow.list_(arrow.list_(arrow.float64(), 4))),
        ],
        metadata={"torchreid_occ": json.dumps({"checkpoint_hash": checkpoint_hash})},
    )
    columns = {
        "rank": [one.rank for one in found],
        "distance": [float(match.distance) for match in matches],
        **_columns([match.id for match in matches], [match.tracklet for match in matches]),
        "state": [one.state.value for one in found],
        "video": [_text(one.video) if one else None for one in where],
        "video_frames": [one.frames if one else None for one in where],
        "seconds": [one.seconds if one else None for one in where],
        "boxes": [one.boxes if one else None for one in where],
    }
    with replacing(path) as file:
        parquet.write_table(arrow.table(columns, schema=schema), file)


def _fields() -> list[tuple[str, Any]]:
    arrow, _ = _arrow()
    return [
        ("id", arrow.int64()),
        ("name", arrow.string()),
        ("camera", arrow.int32()),
        ("start", arrow.float64()),
        ("end", arrow.float64()),
        ("frames", arrow.list_(arrow.string())),
    ]


def _columns(ids: list[int], tracklets: Sequence[GalleryTracklet]) -> dict[str, list[Any]]:
    return {
        "id": ids,
        "name": [one.name for one in tracklets],
        "camera": [one.camera for one in tracklets],
        "start": [one.start for one in tracklets],
        "end": [one.end for one in tracklets],
        "frames": [[_text(frame) for frame in one.frames] for one in tracklets],
    }


def _text(path: str) -> str:
    """Writes bytes of a file name that are not UTF-8 as escapes, as the JSON answer does."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _blocks(entries: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(entries)
    while block := list(islice(remaining, BLOCK)):
        yield block


@cache
def _arrow() -> tuple[Any, Any]:
    arrow, parquet = import_optional("pyarrow", "pyarrow.parquet", extra="interchange")
    return arrow, parquet
