"""Finds the people of a gallery and the decisions to check first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration import Calibration
from torchreid_occ.calibration.grouping import Joins, group
from torchreid_occ.calibration.joining import certainty
from torchreid_occ.calibration.space import Floats
from torchreid_occ.identities.corrections import Corrections
from torchreid_occ.identities.times import Travel, pairs_apart
from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.search.judging import numbers_of

NONE = Corrections()


class Decision(NamedTuple):
    """Whether two groups of tracklets were taken for one person.

    Attributes:
        one: Id of a tracklet of one group: of the two that resemble each other most.
        other: Id of a tracklet of the other.
        same: How certain it is that they are one person, 0 to 1; joined from 0.5 on.
    """

    one: int
    other: int
    same: float

    @property
    def doubt(self) -> float:
        """How near the decision was, 0 (certain) to 1."""
        return 1 - 2 * abs(self.same - 0.5)


class Person(NamedTuple):
    """The tracklets of one person.

    Attributes:
        number: Number of the person, which later runs keep.
        tracklets: Ids in the order of camera and time.
        certainty: Of the least certain join; 1 for a single tracklet.
    """

    number: int
    tracklets: list[int]
    certainty: float


@dataclass(frozen=True)
class Identities:
    """The people of a gallery.

    Attributes:
        people: In the order of their doubt: the least certain first.
        decisions: All joins and the nearest alternatives, the least certain first.
        tracklets: The gallery's tracklets by id.
    """

    people: list[Person]
    decisions: list[Decision]
    tracklets: Mapping[int, GalleryTracklet]

    def person_of(self) -> dict[int, int]:
        """Returns the number of the person of each tracklet."""
        return {number: one.number for one in self.people for number in one.tracklets}


def find_identities(
    gallery: Gallery,
    calibration: Calibration,
    corrections: Corrections = NONE,
    former: Mapping[int, Iterable[str]] | None = None,
    travel: Travel | None = None,
) -> Identities:
    """Groups the tracklets of a gallery into people.

    The two groups whose pairs have the highest mean log odds are joined until none is above even
    odds (average linkage). Tracklets that a camera sees at once are two people. Corrections come
    before all of that.

    Args:
        gallery: The gallery.
        calibration: Calibration of its checkpoint.
        corrections: What the user has said; pairs of unknown tracklets are ignored.
        former: Names of the tracklets of each person in an earlier run, whose numbers are kept.
        travel: Travel times between cameras.

    Raises:
        ValueError: If the calibration is of another checkpoint, the corrections contradict one
            another, or travel times do not fit the tracklets.
    """
    calibration.check_model(gallery.checkpoint_hash)
    corrections.check()
    entries = [*gallery.entries()]
    ids = [number for number, _, _ in entries]
    tracklets = [one for _, one, _ in entries]
    place = {one.name: index for index, one in enumerate(tracklets)}
    together = _places(corrections.merged, place)
    apart = pairs_apart(tracklets, travel)
    for one, other in _places(corrections.split, place):
        apart[one, other] = apart[other, one] = True
    odds = _odds([feature for *_, feature in entries], tracklets, calibration)
    labels, joins = group(odds, together, apart)
    decisions, weakest = _decisions(odds, labels, joins, apart, ids)
    numbers = _numbers(labels, tracklets, former or {})
    by_id = dict(zip(ids, tracklets, strict=True))
    people = []
    for label in np.unique(labels).tolist():
        own = [ids[place] for place in np.flatnonzero(labels == label)]
        own.sort(key=lambda number: _order(by_id, number))
        people.append(Person(numbers[label], own, weakest.get(label, 1.0)))
    return Identities(sorted(people, key=lambda one: (one.certainty, one.number)), decisions, by_id)


def _places(pairs: Iterable[tuple[str, str]], place: Mapping[str, int]) -> list[tuple[int, int]]:
    return [(place[a], place[b]) for a, b in pairs if a in place and b in place]


def _odds(
    features: Sequence[Floats], tracklets: Sequence[GalleryTracklet], calibration: Calibration
) -> Floats:
    if len(features) < 2:
        return np.zeros((len(features), len(features)))
    cameras = numbers_of([one.camera for one in tracklets])
    stacked = np.stack(features)
    means = calibration.means_of(stacked, cameras)
    return calibration.odds_of_joins(calibration.adapted(stacked, cameras, means))


def _decisions(
    odds: Floats,
    labels: npt.NDArray[np.int64],
    joins: Joins,
    apart: npt.NDArray[np.bool_],
    ids: Sequence[int],
) -> tuple[list[Decision], dict[int, float]]:
    """Returns the decisions, least certain first, and the certainty of each weakest join."""
    members = {index: [index] for index in range(len(ids))}
    found: list[Decision] = []
    weakest: dict[int, float] = {}
    for one, other, value in zip(*joins, strict=True):
        if np.isfinite(value):
            found.append(_decision(odds, members[one], members[other], value, ids))
            label = int(labels[one])
            weakest[label] = min(weakest.get(label, 1.0), float(certainty(value)))
        members[one] += members.pop(other)
    sums = np.where(apart, -np.inf, odds)
    groups = [*members]
    chosen = np.zeros((len(groups), len(ids)))
    for row, label in enumerate(groups):
        chosen[row, members[label]] = 1
    with np.errstate(invalid="ignore"):
        blocked = (chosen @ apart @ chosen.T) > 0
        means = chosen @ np.where(apart, 0, odds) @ chosen.T
    means /= chosen.sum(1)[:, None] * chosen.sum(1)
    means[blocked] = -np.inf
    np.fill_diagonal(means, -np.inf)
    nearest = {tuple(sorted((row, int(means[row].argmax())))) for row in range(len(groups))}
    for row, column in sorted(nearest):
        if row != column and np.isfinite(means[row, column]):
            pair = members[groups[row]], members[groups[column]]
            found.append(_decision(sums, *pair, float(means[row, column]), ids))
    return sorted(found, key=lambda one: (-one.doubt, one.one, one.other)), weakest


def _decision(
    odds: Floats, some: Sequence[int], others: Sequence[int], value: float, ids: Sequence[int]
) -> Decision:
    pairs = odds[np.ix_(some, others)]
    row, column = divmod(int(pairs.argmax()), len(others))
    one, other = sorted((ids[some[row]], ids[others[column]]))
    return Decision(one, other, float(certainty(value)))


def _numbers(
    labels: npt.NDArray[np.int64],
    tracklets: Sequence[GalleryTracklet],
    former: Mapping[int, Iterable[str]],
) -> dict[int, int]:
    """Returns the number of each group: that of the earlier person with most tracklets in it."""
    earlier = {name: number for number, names in former.items() for name in names}
    shared: dict[tuple[int, int], int] = {}
    for label, one in zip(labels.tolist(), tracklets, strict=True):
        if one.name in earlier:
            pair = label, earlier[one.name]
            shared[pair] = shared.get(pair, 0) + 1
    numbers: dict[int, int] = {}
    for (label, number), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        if label not in numbers and number not in numbers.values():
            numbers[label] = number
    following = max(former, default=0) + 1
    for label in np.unique(labels).tolist():
        if label not in numbers:
            numbers[label] = following
            following += 1
    return numbers


def _order(tracklets: Mapping[int, GalleryTracklet], number: int) -> tuple[float, float, int]:
    one = tracklets[number]
    camera = np.inf if one.camera is None else one.camera
    return float(camera), np.inf if one.start is None else one.start, number
