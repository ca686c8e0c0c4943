"""Average linkage of log odds under constraints: which tracklets are one person."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration.space import Floats


class Joins(NamedTuple):
    """Joins of groups, in order; a group is named by its lowest tracklet.

    Attributes:
        one: The group that is kept. Length ``J``.
        other: The group that is added to it. Length ``J``.
        value: Mean log odds of the pairs that are joined; infinite where a join was demanded.
            Length ``J``.
    """

    one: list[int]
    other: list[int]
    value: list[float]


def group(
    odds: Floats,
    together: Iterable[tuple[int, int]] = (),
    apart: npt.NDArray[np.bool_] | None = None,
    stop: float = 0.0,
) -> tuple[npt.NDArray[np.int64], Joins]:
    """Joins the two groups with the highest mean log odds, until none is above a value.

    Args:
        odds: Log odds that two tracklets are one person; symmetric.
        together: Pairs that are one person.
        apart: Pairs that are two people; symmetric.
        stop: The value.

    Returns:
        The group of each tracklet, named by its lowest tracklet, and the joins.

    Shape:
        odds, apart: ``(N, N)``; groups: ``(N,)``.
    """
    state = _Groups(odds, apart)
    joins = Joins([], [], [])
    for first, second in together:
        state.join_demanded(joins, first, second)
    state.rank_all()
    while len(odds) and (best := int(state.best.argmax())) >= 0 and state.best[best] > stop:
        other = int(state.partner[best])
        one, other = min(best, other), max(best, other)
        _note(joins, one, other, float(state.best[best]))
        state.join(one, other)
        state.rank_after(one, other)
    return state.labels, joins


class _Groups:
    """Sums of log odds between groups, and the best partner of each group."""

    def __init__(self, odds: Floats, apart: npt.NDArray[np.bool_] | None) -> None:
        self.sums = (np.asarray(odds, np.float64) + np.asarray(odds, np.float64).T) / 2
        np.fill_diagonal(self.sums, -np.inf)
        if apart is not None:
            self.sums[apart] = -np.inf
        self.sizes = np.ones(len(odds))
        self.labels = np.arange(len(odds))
        self.best = np.full(len(odds), -np.inf)
        self.partner = np.zeros(len(odds), np.int64)

    def join_demanded(self, joins: Joins, first: int, second: int) -> None:
        one, other = sorted((int(self.labels[first]), int(self.labels[second])))
        if one != other:
            # Whoever joins two tracklets overrules what keeps others of the groups apart.
            _note(joins, one, other, np.inf)
            self.join(one, other)

    def join(self, one: int, other: int) -> None:
        self.sums[one] += self.sums[other]
        self.sums[:, one] = self.sums[one]
        self.sums[one, one] = -np.inf
        self.sums[other] = self.sums[:, other] = -np.inf
        self.sizes[one] += self.sizes[other]
        self.labels[self.labels == other] = one

    def rank_all(self) -> None:
        for number in np.unique(self.labels).tolist():
            self._rank(number)

    def rank_after(self, one: int, other: int) -> None:
        """Finds the best partners again of those whose partner was joined."""
        self.best[other] = -np.inf
        self._rank(one)
        touched = np.isin(self.partner, (one, other)) & np.isfinite(self.best)
        for number in np.flatnonzero(touched).tolist():
            if number != one:
                self._rank(number)
        means = self.sums[one] / (self.sizes[one] * self.sizes)
        better = means > self.best
        self.best[better], self.partner[better] = means[better], one

    def _rank(self, number: int) -> None:
        means = self.sums[number] / (self.sizes[number] * self.sizes)
        self.partner[number] = means.argmax()
        self.best[number] = means[self.partner[number]]


def _note(joins: Joins, one: int, other: int, value: float) -> None:
    joins.one.append(one)
    joins.other.append(other)
    joins.value.append(value)
