"""FAISS, imported when it is needed, and what both kinds of index use of it."""

from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from torchreid_occ.utils.dependencies import import_optional


class Writable(Protocol):
    """What an index is written to, such as a binary file."""

    def write(self, data: bytes, /) -> Any:
        """Appends bytes."""


@cache
def faiss() -> Any:
    """Returns the module.

    Raises:
        ImportError: If it is not installed.
    """
    (module,) = import_optional("faiss", extra="search")
    return module


def selector(ids: npt.NDArray[np.int64]) -> Any:
    """Returns what limits a search to some ids.

    Args:
        ids: The ids. Shape: ``(N,)``.
    """
    chosen = np.zeros(int(ids.max(initial=0)) + 1, bool)
    chosen[ids] = True
    return faiss().IDSelectorBitmap(np.packbits(chosen, bitorder="little"))
