"""The file of a gallery that names tracklets besides the store: people and their corrections.

`torchreid_occ.identities` keeps it. An erasure drops the names that the store has no more.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import write_json
from torchreid_occ.utils.locks import wait_for_lock

FILE = "identities.json"
_PAIRS = ("merged", "split")


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lets one process at a time change the file.

    Args:
        folder: Folder of the gallery.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        wait_for_lock(handle)
        yield
    finally:
        os.close(handle)


def drop_names(folder: Path, held: Callable[[Sequence[str]], Collection[str]]) -> None:
    """Drops tracklets that are no more from the people and the corrections, if there are any.

    Args:
        folder: Folder of the gallery.
        held: Returns which of some names are those of tracklets.

    Raises:
        ValueError: If the file is damaged.
    """
    path = folder / FILE
    with locked_folder(folder):
        if not path.is_file():
            return
        content = read_json(path)
        try:
            people = content["people"]
            pairs = {part: content[part] for part in _PAIRS}
            named = {name for names in people.values() for name in names}
            named |= {name for part in pairs.values() for pair in part for name in pair}
            left = set(held(sorted(named)))
            kept = {number: [n for n in names if n in left] for number, names in people.items()}
            content["people"] = {number: names for number, names in kept.items() if names}
            for part, own in pairs.items():
                content[part] = [pair for pair in own if left.issuperset(pair)]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is damaged ({error!r}): remove it.") from error
        write_json(path, content)
