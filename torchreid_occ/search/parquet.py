"""Tracklets, their features, and answers as Parquet, for pandas, DuckDB, Spark and the like."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.footage.manifest import RecordedTracklet, recorded_tracklet
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

    The columns are id, name, camera, start, end, frames, content (a digest of what the frames'
    files held, where that is recorded) and feature. The schema's metadata names the checkpoint,
    and what the features were computed in, under ``torchreid_occ``.

    Args:
        path: The file.
        gallery: The gallery.

    Returns:
        The number of rows.

    Raises:
        ImportError: If pyarrow is not installed.
    """

    def arrays(block: list[Any]) -> dict[str, Any]:
        features = np.array([feature for *_, feature in block], np.float32)
        return {
            **tracklet_arrays([number for number, *_ in block], [one for _, one, _ in block]),
            **_content_array([one for _, one, _ in block]),
            "feature": _feature_array(features.reshape(-1, gallery.feature_dim)),
        }

    about = {
        "checkpoint_hash": gallery.checkpoint_hash,
        "gallery": gallery.uuid,
        "precisions": gallery.precisions,
    }
    entries = progress(gallery.entries(), "writing", len(gallery), "tracklet")
    return _write_blocks(path, arrays([]), map(arrays, _blocks(entries)), about)


def write_feature_table(
    path: StrPath,
    blocks: Iterable[tuple[Sequence[GalleryTracklet], npt.NDArray[np.float32]]],
    feature_dim: int,
    about: Mapping[str, Any],
) -> int:
    """Writes tracklets with their features, a row each, and a row group for each block.

    The columns are name, camera, start, end, frames, video, video_frames, seconds and boxes, see
    `write_answer_table`, content (a digest of what the frames' files held) and feature. Equal rows
    give equal files.

    Args:
        path: The file, which appears once it is complete.
        blocks: Tracklets and their features, `(N, D)`; taken one after another.
        feature_dim: Length of a feature.
        about: Plain values for the schema's metadata, under ``torchreid_occ``.

    Returns:
        The number of rows.

    Raises:
        ImportError: If pyarrow is not installed.
    """

    def arrays(
        block: tuple[Sequence[GalleryTracklet], npt.NDArray[np.float32]],
    ) -> dict[str, Any]:
        tracklets, features = block
        where = [recorded_tracklet(Path(one.frames[0]).parent) for one in tracklets]
        return {
            **_place_arrays(tracklets),
            **_moment_arrays(where),
            **_content_array(tracklets),
            "feature": _feature_array(features),
        }

    nothing = arrays(([], np.empty((0, feature_dim), np.float32)))
    return _write_blocks(path, nothing, map(arrays, blocks), about)


def write_answer_table(path: StrPath, matches: Sequence[Match], checkpoint_hash: str) -> None:
    """Writes matches, a row each, nearest first.

    The columns are rank, distance, probability and verdict (where a calibration tells), those of
    `write_gallery_table` up to the frames, state, and, of tracklets that were cut out of a
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
    judged = [match.judged for match in matches]
    arrays = {
        "rank": arrow.array([one.rank for one in found], arrow.int32()),
        "distance": arrow.array([float(match.distance) for match in matches], arrow.float64()),
        "probability": arrow.array([one and one.probability for one in judged], arrow.float64()),
        "verdict": arrow.array([one and one.verdict for one in judged], arrow.string()),
        **tracklet_arrays([match.id for match in matches], [match.tracklet for match in matches]),
        "state": arrow.array([one.state.value for one in found], arrow.string()),
        **_moment_arrays([one.where for one in found]),
    }
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
    return {"id": arrow.array(ids, arrow.int64()), **_place_arrays(tracklets)}


def _place_arrays(tracklets: Sequence[GalleryTracklet]) -> dict[str, Any]:
    arrow, _ = arrow_modules()
    frames = [[_text(frame) for frame in one.frames] for one in tracklets]
    return {
        "name": arrow.array([one.name for one in tracklets], arrow.string()),
        "camera": arrow.array([one.camera for one in tracklets], arrow.int32()),
        "start": arrow.array([one.start for one in tracklets], arrow.float64()),
        "end": arrow.array([one.end for one in tracklets], arrow.float64()),
        "frames": arrow.array(frames, arrow.list_(arrow.string())),
    }


def _moment_arrays(where: Sequence[RecordedTracklet | None]) -> dict[str, Any]:
    arrow, _ = arrow_modules()
    boxes = arrow.list_(arrow.list_(arrow.float64(), 4))
    return {
        "video": arrow.array([one and _text(one.video) for one in where], arrow.string()),
        "video_frames": arrow.array(
            [one and one.frames for one in where], arrow.list_(arrow.int64())
        ),
        "seconds": arrow.array(
            [one and one.seconds for one in where], arrow.list_(arrow.float64())
        ),
        "boxes": arrow.array([one and one.boxes for one in where], boxes),
    }


def _content_array(tracklets: Sequence[GalleryTracklet]) -> dict[str, Any]:
    arrow, _ = arrow_modules()
    return {"content": arrow.array([one.content for one in tracklets], arrow.string())}


def _feature_array(features: npt.NDArray[np.float32]) -> Any:
    arrow, _ = arrow_modules()
    values = arrow.array(features.reshape(-1), arrow.float32())
    return arrow.FixedSizeListArray.from_arrays(values, features.shape[1])


def _write_blocks(
    path: StrPath,
    nothing: Mapping[str, Any],
    blocks: Iterable[Mapping[str, Any]],
    about: Mapping[str, Any],
) -> int:
    """Writes a row group for each block of arrays, typed as ``nothing``; returns the rows."""
    arrow, parquet = arrow_modules()
    metadata = {"torchreid_occ": json.dumps(dict(about))}
    schema = arrow.table(dict(nothing)).schema.with_metadata(metadata)
    count = 0
    with replacing(path) as file, parquet.ParquetWriter(file, schema) as writer:
        for arrays in blocks:
            table = arrow.table(dict(arrays), schema=schema)
            writer.write_table(table)
            count += len(table)
    return count


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
