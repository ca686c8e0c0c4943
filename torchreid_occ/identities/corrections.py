"""What a user has said about pairs of tracklets: one person, or two."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

Pair: TypeAlias = tuple[str, str]


class Corrections(NamedTuple):
    """Corrections by the names of tracklets.

    Attributes:
        merged: Pairs that are one person.
        split: Pairs that are two people.
    """

    merged: tuple[Pair, ...] = ()
    split: tuple[Pair, ...] = ()

    def with_(self, merged: Iterable[Pair] = (), split: Iterable[Pair] = ()) -> "Corrections":
        """Returns these corrections and further ones.

        Args:
            merged: Further pairs that are one person.
            split: Further pairs that are two people.

        Raises:
            ValueError: If they contradict one another; names the chain of pairs.
        """
        found = Corrections(_joined(self.merged, merged), _joined(self.split, split))
        found.check()
        return found

    def without(self, pairs: Iterable[Pair]) -> "Corrections":
        """Returns these corrections without those of some pairs.

        Args:
            pairs: The pairs.

        Raises:
            KeyError: If a pair has not been corrected.
        """
        gone = {frozenset(pair) for pair in pairs}
        known = {frozenset(pair) for pair in (*self.merged, *self.split)}
        for pair in gone - known:
            raise KeyError(f"{' and '.join(sorted(pair))} have not been corrected.")
        return Corrections(
            *(tuple(pair for pair in part if frozenset(pair) not in gone) for part in self)
        )

    def check(self) -> None:
        """Checks that no pair is said to be both one person and two.

        Raises:
            ValueError: If one is; names the chain of pairs.
        """
        for first, second in self.split:
            chain = self._chain(first, second)
            if chain:
                same = " = ".join(chain)
                raise ValueError(
                    f"The corrections contradict one another: {same} are one person, but {first} "
                    f"and {second} are two. Nothing was changed: forget one of these corrections."
                )

    def _chain(self, first: str, last: str) -> Sequence[str]:
        """Returns tracklets from one to another of which neighbours are merged, or nothing."""
        beside: dict[str, list[str]] = {}
        for one, other in self.merged:
            beside.setdefault(one, []).append(other)
            beside.setdefault(other, []).append(one)
        came_from: dict[str, str | None] = {first: None}
        todo = [first]
        while todo:
            here = todo.pop(0)
            if here == last:
                chain: list[str] = []
                step: str | None = here
                while step is not None:
                    chain.append(step)
                    step = came_from[step]
                return chain[::-1]
            for name in beside.get(here, []):
                if name not in came_from:
                    came_from[name] = here
                    todo.append(name)
        return []


def _joined(known: Sequence[Pair], more: Iterable[Pair]) -> tuple[Pair, ...]:
    pairs = {frozenset(pair): pair for pair in known}
    for one, other in more:
        if one == other:
            raise ValueError(f"A correction is about two tracklets, but both are {one}.")
        pairs.setdefault(frozenset((one, other)), (one, other))
    return tuple(pairs.values())
