"""Choice of supervision for several sources: the datasets' own, else the configured files."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from torchreid_occ._types import Item
from torchreid_occ.data.supervision import FIELDS, Supervision
from torchreid_occ.utils.logs import logger


def choose_supervision(
    tracklets: Sequence[Item],
    own: Mapping[int, Supervision | None],
    fields: Sequence[str],
    configured: Supervision | None,
    sources: Sequence[str],
) -> dict[int, Supervision]:
    """Returns the supervision of each ``dsetid``: the dataset's own, else the configured one.

    Args:
        tracklets: Training tracklets of all sources.
        own: By ``dsetid`` what each dataset brings itself.
        fields: Fields of training batches.
        configured: From ``data.keypoints`` and ``data.foreground``.
        sources: Names of the sources, for messages.

    Raises:
        ValueError: If a field is unknown or no frame has it, if ``configured`` is not needed, or if
            its frame names are ambiguous.
    """
    unknown = [field for field in fields if field not in FIELDS]
    if unknown:
        raise ValueError(f"Unknown data.supervision {unknown}: expected names of {FIELDS}.")
    without = {dsetid for dsetid, supervision in own.items() if supervision is None}
    if configured and not without:
        raise ValueError(
            "data.keypoints and data.foreground would not be read: every source of "
            f"{[*sources]} brings its own supervision. Leave them empty."
        )
    if configured:
        _check_names_differ(configured, [item for item in tracklets if item[3] in without])
    either = {dsetid: supervision or configured for dsetid, supervision in own.items()}
    chosen = {dsetid: found for dsetid, found in either.items() if found is not None}
    for field in fields:
        if not any(field in supervision.fields for supervision in chosen.values()):
            raise ValueError(
                f"data.supervision asks for {field!r}, but no source of {[*sources]} brings it: "
                f"set data.{field} to where it is, or take it out of data.supervision."
            )
    for field in fields:
        _report_share(field, tracklets, chosen)
    return chosen


def _report_share(
    field: str, tracklets: Sequence[Item], supervision: Mapping[int, Supervision]
) -> None:
    """Logs how many training frames have a field; raises if none has, as names must be wrong."""
    known = [
        dsetid in supervision and supervision[dsetid].has(field, path)
        for paths, *_, dsetid in tracklets
        for path in paths
    ]
    if not any(known):
        example = Path(tracklets[0][0][0])
        raise ValueError(
            f"data.supervision asks for {field!r}, but it is known of none of {len(known)} "
            f"training frames: entries are looked up by file name, such as {example.name!r} in "
            f"the key point file or the folder {example.stem!r} of foreground maps."
        )
    logger.info("%s: known of %.1f%% of training frames", field, 100 * np.mean(known))


def _check_names_differ(supervision: Supervision, tracklets: Sequence[Item]) -> None:
    """Raises if two frames are looked up by one name, as one of them would get wrong labels."""
    paths = {path for item in tracklets for path in item[0]}
    name, count = Counter(map(supervision.name_of, paths)).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"data.keypoints and data.foreground are looked up by the frame's name, but {count} "
            f'training frames are named "{name}": give every frame a name of its own, in the files '
            "or by the last parts of its path (torchreid-occ annotate does so)."
        )
