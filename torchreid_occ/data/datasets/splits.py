"""Random half splits of identities, and the files that fix them."""

import warnings
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import write_json

# Name or number of an identity, as a JSON file of splits holds it; one kind in each dataset.
Identity: TypeAlias = Any
Split: TypeAlias = dict[str, list[Identity]]  # "train" and "test"

# Paper silent [D10]: ten half splits where no split file is published.
NUM_SPLITS = 10


def half_splits(
    identities: Sequence[Identity], num_splits: int = NUM_SPLITS, seed: int = 0
) -> list[Split]:
    """Splits identities at random into halves; an odd one out is tested on.

    The result depends only on the seed and on the identities and their order.

    Args:
        identities: Sorted names or numbers.
        num_splits: How many splits.
        seed: Seed of the draw.

    Returns:
        One dict for each split, with the ``train`` and the ``test`` identities in the order given.
    """
    # The legacy generator: numpy promises that its stream never changes.
    random = np.random.RandomState(seed)
    splits = []
    for _ in range(num_splits):
        train = set(random.permutation(len(identities))[: len(identities) // 2].tolist())
        splits.append(
            {
                "train": [name for i, name in enumerate(identities) if i in train],
                "test": [name for i, name in enumerate(identities) if i not in train],
            }
        )
    return splits


def load_split(
    path: Path,
    split_id: int,
    identities: Collection[Identity],
    make: Callable[[], list[Split]],
    complete: bool = True,
) -> Split:
    """Reads one split from a file; a missing file is made first, an existing one never replaced.

    Where the folder cannot be written, the splits are used from memory.

    Args:
        path: JSON file: a list of ``{"train": [identity, ...], "test": [...]}``.
        split_id: Which split, from 0.
        identities: The identities on disk.
        make: Function that returns the splits for a missing file.
        complete: Whether each split has to name every identity on disk.

    Raises:
        ValueError: If the file is not of this form, names other identities than those on disk, or
            has no such split.
    """
    known = path.exists()
    splits = _read(path) if known else make()
    for number, split in enumerate(splits):
        _check(path, number, split, set(identities), complete)
    if not known:
        _keep(path, splits)
    if not 0 <= split_id < len(splits):
        raise ValueError(
            f"Received split_id={split_id}, but {path} has the splits 0 to {len(splits) - 1}."
        )
    return splits[split_id]


def _read(path: Path) -> list[Split]:
    try:
        splits = read_json(path)
        halves = [split[half] for split in splits for half in ("train", "test")]
        well_formed = halves and all(
            isinstance(half, list) and all(isinstance(name, str | int) for name in half)
            for half in halves
        )
    except (ValueError, TypeError, KeyError):
        well_formed = False
    if not well_formed:
        raise ValueError(
            f'{path} is no split file: expected a JSON list of {{"train": [...], "test": [...]}}. '
            "Restore it, or delete it to have new splits made."
        )
    return splits


def _keep(path: Path, splits: list[Split]) -> None:
    try:
        write_json(path, splits)
    except OSError as error:
        warnings.warn(
            f"The splits could not be written to {path} ({error.strerror}); the same ones are made "
            "again in each run.",
            stacklevel=2,
        )


def _check(
    path: Path, number: int, split: Split, identities: set[Identity], complete: bool
) -> None:
    train, test = set(split["train"]), set(split["test"])
    problems = []
    if not train or not test:
        problems.append("a half without identities")
    if train & test:
        problems.append(f"{_some(train & test)} in both halves")
    if missing := (train | test) - identities:
        problems.append(f"{_some(missing)} not on disk")
    if complete and (unlisted := identities - train - test):
        problems.append(f"{_some(unlisted)} on disk but in neither half")
    if problems:
        raise ValueError(
            f"Split {number} of {path} does not fit the data: {'; '.join(problems)}. Restore the "
            "data the splits were made for, or delete the file to have new splits made (their "
            "results cannot be compared with those of the old ones)."
        )


def _some(identities: Collection[Identity]) -> str:
    shown = ", ".join(str(identity) for identity in sorted(identities, key=str)[:3])
    more = ", ..." if len(identities) > 3 else ""
    noun = "identity" if len(identities) == 1 else "identities"
    return f"{len(identities)} {noun} ({shown}{more})"
