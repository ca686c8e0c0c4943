"""What the documents of a gallery hold of its tracklets, and how it is dropped or renamed.

People and corrections name tracklets (`torchreid_occ.identities`), and the cohort of a calibration
may have the features of some, where it was learned from the same people.
"""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration import calibration_bytes, calibration_path, read_calibration
from torchreid_occ.search.documents import (
    CALIBRATION,
    IDENTITIES,
    Documents,
    FolderDocuments,
)
from torchreid_occ.utils.documents import parse_json
from torchreid_occ.utils.files import json_bytes

_PAIRS = ("merged", "split")


def drop_names(
    documents: Documents,
    held: Callable[[Sequence[str]], Collection[str]],
) -> None:
    """Drops tracklets that are no more from the people and the corrections, if there are any.

    Args:
        documents: The documents of the gallery.
        held: Returns which of some names are those of tracklets.

    Raises:
        ValueError: If the document is damaged.
    """
    _replace_names(documents, lambda names: {name: name for name in held(names)})


def rename(documents: Documents, renamed: Mapping[str, str]) -> None:
    """Gives tracklets their new names in the people and the corrections, if there are any.

    Args:
        documents: The documents of the gallery.
        renamed: New names by the former ones.

    Raises:
        ValueError: If the document is damaged.
    """
    if renamed:
        _replace_names(documents, lambda names: {name: renamed.get(name, name) for name in names})


def _replace_names(
    documents: Documents, replaced: Callable[[Sequence[str]], Mapping[str, str]]
) -> None:
    """Puts other names into the people and the corrections; those without one are dropped."""
    with documents.locked():
        stored = documents.read(IDENTITIES)
        if stored is None:
            return
        place = documents.place_of(IDENTITIES)
        content = parse_json(stored, place)
        try:
            people = content["people"]
            pairs = {part: content[part] for part in _PAIRS}
            named = {name for names in people.values() for name in names}
            named |= {name for part in pairs.values() for pair in part for name in pair}
            left = replaced(sorted(named))
            kept = {
                number: [left[name] for name in names if name in left]
                for number, names in people.items()
            }
            content["people"] = {number: names for number, names in kept.items() if names}
            for part, own in pairs.items():
                content[part] = [
                    [left[name] for name in pair] for pair in own if left.keys() >= {*pair}
                ]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{place} is damaged ({error!r}): remove it.") from error
        documents.write(IDENTITIES, json_bytes(content))


def drop_features(
    documents: Documents,
    checkpoint_hash: str,
    checkpoint: Path | None,
    features: Collection[npt.NDArray[np.floating[Any]]],
) -> None:
    """Drops features from the calibration of a gallery, and from that beside its checkpoint.

    A calibration of which nothing is left to compare with is removed.

    Args:
        documents: The documents of the gallery.
        checkpoint_hash: Hash of its checkpoint; calibrations of others stay.
        checkpoint: Where its checkpoint is, if that is known.
        features: The features. Shape: ``(D,)`` each.

    Raises:
        ValueError: If a calibration is damaged.
    """
    if not features:
        return
    stacked = np.stack([*features])
    _drop_from(documents, CALIBRATION, checkpoint_hash, stacked)
    if checkpoint is None:
        return
    path = calibration_path(checkpoint)
    try:
        if path.is_file():
            _drop_from(FolderDocuments(path.parent), path.name, checkpoint_hash, stacked)
    except OSError as error:
        warnings.warn(
            f"{path} cannot be changed ({error}), and holds features of tracklets that are removed "
            "from the gallery: calibrate anew.",
            stacklevel=3,
        )


def _drop_from(
    documents: Documents,
    name: str,
    checkpoint_hash: str,
    features: npt.NDArray[np.floating[Any]],
) -> None:
    with documents.locked():
        stored = documents.read(name)
        if stored is None:
            return
        calibration = read_calibration(stored, documents.place_of(name))
        if calibration.checkpoint_hash != checkpoint_hash:
            return
        left = calibration.without(features)
        if left is not calibration:
            documents.write(name, None if left is None else calibration_bytes(left))
