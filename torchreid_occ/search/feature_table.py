"""Features that were extracted elsewhere, read back from Parquet to be indexed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.search.parquet import arrow_modules
from torchreid_occ.search.tracklets import GalleryTracklet

SUFFIX = ".parquet"
_COLUMNS = ("name", "camera", "start", "end", "frames", "content", "feature")
_NEEDED = ("name", "frames", "feature")  # in every row


class FeatureTable:
    """Tracklets with features in Parquet, as `write_feature_table` and `write_gallery_table` write.

    Of all files the schema is read at once, the rows by `blocks`.

    Args:
        path: A file, or a folder with files, which are read in the order of their names.

    Attributes:
        path: The path.
        checkpoint_hash: ``TrackletExtractor.checkpoint_hash`` of the features.
        feature_dim: Length of a feature.
        precisions: What the features were computed in, as far as the files say it.

    Raises:
        FileNotFoundError: If there is no such file, or none in the folder.
        ImportError: If pyarrow is not installed.
        ValueError: If a file is damaged or no table of features, or files are of different
            checkpoints.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        self._files = sorted(self.path.glob(f"*{SUFFIX}")) if self.path.is_dir() else [self.path]
        if not self._files or not self._files[0].exists():
            raise FileNotFoundError(f"There is no table of features {self.path}.")
        first = _described(self._files[0])
        self.checkpoint_hash, self.feature_dim = first.checkpoint_hash, first.feature_dim
        self._count, precisions = first.blocks, {*first.precisions}
        for file in self._files[1:]:
            other = _described(file)
            self.check_model(other.checkpoint_hash, other.feature_dim, str(file))
            self._count += other.blocks
            precisions |= {*other.precisions}
        self.precisions = sorted(precisions)

    def __len__(self) -> int:
        """Returns the number of blocks."""
        return self._count

    def check_model(self, checkpoint_hash: str, feature_dim: int, place: str) -> None:
        """Checks that the features are those of a checkpoint.

        Args:
            checkpoint_hash: Hash of the checkpoint.
            feature_dim: Length of its features.
            place: What is of that checkpoint, for the error.

        Raises:
            ValueError: If they are of another one; names both.
        """
        if (checkpoint_hash, feature_dim) != (self.checkpoint_hash, self.feature_dim):
            raise ValueError(
                f"{self._files[0]} has features of checkpoint {self.checkpoint_hash} with "
                f"{self.feature_dim} values each, but {place} is of {checkpoint_hash} with "
                f"{feature_dim}."
            )

    def blocks(self) -> Iterator[tuple[list[GalleryTracklet], npt.NDArray[np.float32]]]:
        """Yields the tracklets and features of one row group after another, without empty ones.

        What the frames held is known as far as the table says it; their sizes and times are not.

        Shape:
            Features of each block: ``(N, D)``.

        Raises:
            ValueError: If a file is damaged, or a row lacks a name, frames or a feature.
        """
        for file in self._files:
            with _opened(file) as opened:
                for number in range(opened.num_row_groups):
                    names = [name for name in _COLUMNS if name in opened.schema_arrow.names]
                    table = opened.read_row_group(number, columns=names)
                    if len(table):
                        yield _tracklets_of(table, file), _features_of(table, self.feature_dim)


class _Description(NamedTuple):
    """What a file says of itself."""

    checkpoint_hash: str
    feature_dim: int
    blocks: int
    precisions: list[str]


def _described(file: Path) -> _Description:
    """Reads the schema of a file, and checks it."""
    arrow, _ = arrow_modules()
    with _opened(file) as opened:
        schema = opened.schema_arrow
        groups = opened.num_row_groups
    types = dict(zip(schema.names, schema.types, strict=True))
    missing = [name for name in _COLUMNS if name not in types and name != "content"]
    stated = (schema.metadata or {}).get(b"torchreid_occ")
    about = json.loads(stated) if stated else {}
    if missing or "checkpoint_hash" not in about:
        lacking = f"the columns {missing}" if missing else "the checkpoint's hash in its metadata"
        raise ValueError(
            f"{file} is no table of features, as it lacks {lacking}: `torchreid-occ extract` and "
            "`torchreid-occ search export` write such tables."
        )
    if not arrow.types.is_fixed_size_list(types["feature"]):
        raise ValueError(f"{file} has features of type {types['feature']}, but expected lists of "
                         "one size.")  # fmt: skip
    dim = int(types["feature"].list_size)
    return _Description(about["checkpoint_hash"], dim, groups, about.get("precisions", []))


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    arrow, parquet = arrow_modules()
    try:
        with parquet.ParquetFile(file) as opened:
            yield opened
    except (arrow.ArrowException, OSError) as error:  # it raises both for damaged files
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"{file} is damaged or no file of Parquet: {reason}.") from error


def _tracklets_of(table: Any, file: Path) -> list[GalleryTracklet]:
    for name in _NEEDED:
        if table.column(name).null_count:
            raise ValueError(f"{file} has rows without {name}.")
    rows = table.drop_columns(["feature"]).to_pylist()
    if not all(row["name"] and row["frames"] for row in rows):
        raise ValueError(f"{file} has rows with an empty name or without frames.")
    return [
        GalleryTracklet(
            row["name"], tuple(row["frames"]), row["camera"], row["start"], row["end"],
            stamp=None if row.get("content") is None else "", content=row.get("content"),
        )
        for row in rows
    ]  # fmt: skip


def _features_of(table: Any, feature_dim: int) -> npt.NDArray[np.float32]:
    values = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in table["feature"].chunks]
    return np.concatenate(values).astype(np.float32, copy=False).reshape(-1, feature_dim)
