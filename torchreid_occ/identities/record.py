"""Keeps the people of a gallery and their corrections in a document of it, ``identities.json``.

It is replaced as a whole, so that a kill at any point leaves it before or after a change.
Corrections are stored before people are found with them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from torchreid_occ.calibration import Calibration
from torchreid_occ.identities.corrections import Corrections, Pair
from torchreid_occ.identities.finding import Identities, find_identities
from torchreid_occ.identities.times import Travel
from torchreid_occ.search import Gallery
from torchreid_occ.search.documents import IDENTITIES
from torchreid_occ.utils.documents import parse_json
from torchreid_occ.utils.files import json_bytes

FORMAT = 1


def correct(
    gallery: Gallery,
    merged: Iterable[tuple[int, int]] = (),
    split: Iterable[tuple[int, int]] = (),
    forgotten: Iterable[tuple[int, int]] = (),
) -> Corrections:
    """Stores corrections, all or none.

    Args:
        gallery: The gallery.
        merged: Pairs of ids of tracklets that are one person.
        split: Pairs that are two people.
        forgotten: Pairs whose corrections are removed first.

    Returns:
        All corrections.

    Raises:
        KeyError: If the gallery has no such tracklet, or a pair to forget has not been corrected.
        ValueError: If the corrections contradict one another.
    """
    parts = [[*part] for part in (merged, split, forgotten)]
    ids = {number for part in parts for pair in part for number in pair}
    known = gallery.get(ids)
    if ids - known.keys():
        raise KeyError(
            f"{gallery.place} has no tracklets with the ids {sorted(ids - known.keys())}: nothing "
            "was changed."
        )
    one, two, gone = ([(known[a].name, known[b].name) for a, b in part] for part in parts)
    with gallery.documents.locked():
        content = _read(gallery)
        found = _corrections(content).without(gone).with_(one, two)
        if any(parts):
            _write(gallery, content["people"], found)
    return found


def update_identities(
    gallery: Gallery, calibration: Calibration, travel: Travel | None = None
) -> Identities:
    """Finds the people of a gallery as it is now, and stores them; people keep their numbers.

    Args:
        gallery: The gallery.
        calibration: Calibration of its checkpoint.
        travel: Travel times between cameras.

    Raises:
        ValueError: As of `find_identities`, or if what an earlier run stored is damaged.
    """
    with gallery.documents.locked():
        content = _read(gallery)
        former = {int(number): names for number, names in content["people"].items()}
        corrections = _corrections(content)
        found = find_identities(gallery, calibration, corrections, former, travel)
        people = {
            str(one.number): [found.tracklets[number].name for number in one.tracklets]
            for one in sorted(found.people, key=lambda one: one.number)
        }
        _write(gallery, people, corrections)
    return found


def _corrections(content: Mapping[str, Any]) -> Corrections:
    return Corrections(*(_pairs(content[part]) for part in ("merged", "split")))


def _pairs(listed: Iterable[Iterable[str]]) -> tuple[Pair, ...]:
    pairs = []
    for one, other in listed:
        pairs.append((str(one), str(other)))
    return tuple(pairs)


def _read(gallery: Gallery) -> dict[str, Any]:
    stored = gallery.documents.read(IDENTITIES)
    if stored is None:
        return {"people": {}, "merged": [], "split": []}
    place = gallery.documents.place_of(IDENTITIES)
    content = parse_json(stored, place)
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}, but expected {FORMAT}")
        _corrections(content)
        for number, names in content["people"].items():
            int(number), list(names)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{place} is damaged ({error!r}): restore a copy, or remove it to begin anew without "
            "the corrections."
        ) from error
    return dict(content)


def _write(gallery: Gallery, people: Mapping[str, list[str]], corrections: Corrections) -> None:
    content = {"format": FORMAT, "people": people, **corrections._asdict()}
    gallery.documents.write(IDENTITIES, json_bytes(content))
