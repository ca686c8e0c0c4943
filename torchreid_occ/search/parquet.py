"""Tracklets of a gallery and answers as Parquet, for pandas, DuckDB, Spark and the like."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    arrow, parquet = arrow_modules()
    about = {"checkpoint_hash": gallery.checkpoint_hash, "gallery": gallery.uuid}
    columns = [(name, array.type) for name, array in tracklet_arrays([], []).items()]
    schema = arrow.schema(
        [*columns, ("feature", arrow.list_(arrow.float32(), gallery.feature_dim))],
        metadata={"torchreid_occ": json.dumps(about)},
    )
    count = 0
    with replacing(path) as file, parquet.ParquetWriter(file, schema) as writer:
        entries = progress(gallery.entries(), "writing", len(gallery), "tracklet")
        for block in _blocks(entries):
            arrays = tracklet_arrays([number for number, *_ in block], [one for _, one, _ in block])
            flat = np.concatenate([feature for *_, feature in block])
            values = arrow.array(flat, arrow.float32())
            feature = arrow.FixedSizeListArray.from_arrays(values, gallery.feature_dim)
            writer.write_table(arrow.table([*arrays.values(), feature], schema=schema))
            count += len(block)
    return count


def write_answer_table(path: StrPath, matches: Sequence[Match], checkpoint_hash: str) -> None:
    """Writes matches, a row each, nearest first.

    The columns are rank, distance, probability and verdict (where a calibration tells), those of
    `write_gallery_table` without the feature, state, and, of tracklets that were cut out of a
    video, video, video_frames, seconds and boxes (left, top, width and height in pixels).

    Args:
        path: The file.
        matches: The matches, nearest first.
        checkpoint_hash: Hash of the checkpoint of the distances.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    arrow, _ = arrow_modules()
    found = sightings(matches)
    where = [one.where for one in found]
    judged = [match.judged for match in matches]
    arrays = {
        "rank": arrow.array([one.rank for one in found], arrow.int32()),
        "distance": arrow.array([float(match.distance) for match in matches], arrow.float64()),
        "probability": arrow.array([one and one.probability for one in judged], arrow.float64()),
        "verdict": arrow.array([one and one.verdict for one in judged], arrow.string()),
        **tracklet_arrays([match.id for match in matches], [match.tracklet for match in matches]),
        "state": arrow.array([one.state.value for one in found], arrow.string()),
        "video": arrow.array([one and _text(one.video) for one in where], arrow.string()),
    }
    for name, values, kind in (
        ("video_frames", [one and one.frames for one in where], arrow.int64()),
        ("seconds", [one and one.seconds for one in where], arrow.float64()),
        ("boxes", [one and one.boxes for one in where], arrow.list_(arrow.float64(), 4)),
    ):
        arrays[name] = arrow.array(values, arrow.list_(kind))
    write_arrays(path, arrays, {"checkpoint_hash": checkpoint_hash})


def tracklet_arrays(ids: list[int], tracklets: Sequence[GalleryTracklet]) -> dict[str, Any]:
    """Returns the columns id, name, camera, start, end and frames as Arrow's arrays.

    Args:
        ids: Ids of the tracklets.
        tracklets: The tracklets.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    arrow, _ = arrow_modules()
    frames = [[_text(frame) for frame in one.frames] for one in tracklets]
    return {
        "id": arrow.array(ids, arrow.int64()),
        "name": arrow.array([one.name for one in tracklets], arrow.string()),
        "camera": arrow.array([one.camera for one in tracklets], arrow.int32()),
        "start": arrow.array([one.start for one in tracklets], arrow.float64()),
        "end": arrow.array([one.end for one in tracklets], arrow.float64()),
        "frames": arrow.array(frames, arrow.list_(arrow.string())),
    }


def write_arrays(path: StrPath, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Writes columns as Parquet, atomically.

    Args:
        path: The file.
        arrays: Arrow's arrays by name.
        about: Plain values for the schema's metadata, under ``torchreid_occ``.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    arrow, parquet = arrow_modules()
    metadata = {"torchreid_occ": json.dumps(about)}
    with replacing(path) as file:
        parquet.write_table(arrow.table(arrays).replace_schema_metadata(metadata), file)


def _text(path: str) -> str:
    """Writes bytes of a file name that are not UTF-8 as escapes, as the JSON answer does."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _blocks(entries: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(entries)
    while block := list(islice(remaining, BLOCK)):
        yield block


@cache
def arrow_modules() -> tuple[Any, Any]:
    """Returns pyarrow and its module of Parquet.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    arrow, parquet = import_optional("pyarrow", "pyarrow.parquet", extra="interchange")
    return arrow, parquet
