"""Lists of tracklets from datasets: loaded by name, joined over sources, split for validation."""

import inspect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torchvision.transforms.functional import pil_to_tensor

from torchreid_occ._types import Item, StrPath
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.datasets.base import SUBSETS, absence_message
from torchreid_occ.utils.logs import logger

# Arguments that the data manager or torchreid's own data managers pass.
_MANAGED = {"self", "root", "split_id", "transform", "k_tfm", "mode", "combineall", "verbose"}
_INSTEAD = "Without the data, name occwalk_tiny in its place, which needs no download."


def load_dataset(
    name: str,
    root: StrPath = "",
    split_id: int = 0,
    combineall: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Builds a dataset of ours or of torchreid's by name.

    Args:
        name: Name of the dataset.
        root: Folder that holds the datasets.
        split_id: Which split to read.
        combineall: Whether query and gallery are trained on, too.
        options: Further arguments of the dataset's constructor.

    Raises:
        ValueError: If the name or an option is unknown.
        FileNotFoundError: If the dataset is not there; nothing is downloaded.
    """
    cls = dataset_class(name)
    options = options or {}
    parameters = inspect.signature(cls).parameters.values()
    allowed = [p.name for p in parameters if p.kind != p.VAR_KEYWORD and p.name not in _MANAGED]
    unknown = sorted(options.keys() - set(allowed))
    if unknown:
        raise ValueError(
            f"Unknown options {unknown} of dataset {name!r}: expected names of {allowed}."
        )
    try:
        if cls.__module__.partition(".")[0] == "torchreid":
            # torchreid's would try to download now, from links that are dead or withdrawn.
            folder = Path(root).expanduser().absolute() / cls.dataset_dir
            if not folder.is_dir():
                raise FileNotFoundError(absence_message(cls, folder, folder.parent))
        return cls(
            root=root,
            split_id=split_id,
            combineall=combineall,
            transform=pil_to_tensor,  # torchreid refuses None, yet listing tracklets needs none
            **options,
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} {_INSTEAD}") from error


def tracklets_of(dataset: Any) -> dict[str, list[Item]]:
    """Returns a dataset's items by subset; an image becomes a tracklet of one frame.

    torchreid lists and labels images in the order of the file system; here they are sorted by path.

    Args:
        dataset: A video or image dataset in torchreid's form.
    """
    listed: dict[str, list[Any]] = {name: list(getattr(dataset, name)) for name in SUBSETS}
    first = next(item for items in listed.values() for item in items)
    if not isinstance(first[0], str):
        return listed
    subsets: dict[str, list[Item]] = {
        name: [((path,), *labels) for path, *labels in sorted(items)]
        for name, items in listed.items()
    }
    subsets["train"] = _relabel(subsets["train"], (pid for _, pid, *_ in subsets["train"]))
    return subsets


class JoinedSources(NamedTuple):
    """The training tracklets of several datasets as one list.

    Attributes:
        tracklets: All tracklets.
        dsetids: Offset of each dataset's ``dsetid``.
    """

    tracklets: list[Item]
    dsetids: list[int]


def join_sources(sources: Sequence[Sequence[Item]]) -> JoinedSources:
    """Joins the training tracklets of several datasets; no pid, camid or dsetid is shared.

    Args:
        sources: The training tracklets of each dataset.
    """
    joined: list[Item] = []
    dsetids: list[int] = []
    offsets = [0, 0, 0]  # of pid, camid and dsetid
    for tracklets in sources:
        pid_offset, camid_offset, dsetid_offset = offsets
        joined += [
            (paths, int(pid_offset + pid), int(camid_offset + camid), int(dsetid_offset + dsetid))
            for paths, pid, camid, dsetid in tracklets
        ]
        dsetids.append(dsetid_offset)
        columns = zip(*(labels for _, *labels in tracklets), strict=True)
        offsets = [
            offset + 1 + int(max(column)) for offset, column in zip(offsets, columns, strict=True)
        ]
    return JoinedSources(joined, dsetids)


class HeldOut(NamedTuple):
    """Training tracklets without and of the identities that are held out for validation."""

    remaining: list[Item]
    held_out: list[Item]


def hold_out_identities(
    tracklets: Sequence[Item], num_identities: int | None, seed: int
) -> HeldOut:
    """Holds training identities out for validation, by which a checkpoint is chosen.

    Args:
        tracklets: Training tracklets.
        num_identities: How many identities, drawn by the seed from the identities seen by two
            cameras (all of these if they are fewer). None takes a hundred of five hundred or more,
            as the RFCnet paper does (section 6.6), else a tenth.
        seed: Seed of the run, not negative.

    Returns:
        The remaining tracklets, with pids from 0 on, and the held-out ones, each of which serves as
        query and as gallery: evaluation never matches a query with its own pid and camera.

    Raises:
        ValueError: If that leaves no identity to train on or none that two cameras see.
    """
    pids = sorted({pid for _, pid, *_ in tracklets})
    if num_identities is None:
        num_identities = 100 if len(pids) >= 500 else max(2, len(pids) // 10)
    if num_identities >= len(pids):
        raise ValueError(
            f"Cannot hold out {num_identities} of {len(pids)} training identities for validation: "
            "hold out fewer, or set test.select last."
        )
    views = Counter(pid for pid, _ in {(pid, camid) for _, pid, camid, _ in tracklets})
    eligible = [pid for pid in pids if views[pid] > 1]
    if num_identities and not eligible:
        raise ValueError(
            f"None of the {len(pids)} training identities is seen by two cameras, so none can be "
            "searched for in validation: set test.select last."
        )
    num_identities = min(num_identities, len(eligible))
    chosen = set(np.random.default_rng(seed).choice(eligible, num_identities, replace=False))
    held_out = [tracklet for tracklet in tracklets if tracklet[1] in chosen]
    remaining = [tracklet for tracklet in tracklets if tracklet[1] not in chosen]
    kept = (pid for pid in pids if pid not in chosen)
    return HeldOut(_relabel(remaining, kept), held_out)


def leave_out_short(tracklets: Sequence[Item], min_frames: int) -> list[Item]:
    """Leaves out training tracklets with few frames, and numbers the remaining pids from 0.

    Args:
        tracklets: Training tracklets.
        min_frames: Tracklets with fewer frames are left out.

    Raises:
        ValueError: If no tracklet is long enough.
    """
    kept = [item for item in tracklets if len(item[0]) >= min_frames]
    if tracklets and not kept:
        raise ValueError(
            f"None of {len(tracklets)} training tracklets has {min_frames} frames: lower "
            "sampler.min_frames."
        )
    if len(kept) < len(tracklets):
        logger.info(
            "%d of %d training tracklets have fewer than %d frames and are left out.",
            len(tracklets) - len(kept),
            len(tracklets),
            min_frames,
        )
    return _relabel(kept, sorted({pid for _, pid, *_ in kept}))


def cut_tracklets(tracklets: Sequence[Item], length: int) -> list[Item]:
    """Cuts training tracklets into items of a number of frames, which a sampler draws from.

    The frames that are left at the end stay with the last item, as in the released video codes of
    RFCnet's authors; a shorter tracklet stays as it is.

    Args:
        tracklets: Training tracklets.
        length: Frames of an item; the last of a tracklet has up to ``2 * length - 1``.
    """
    cut: list[Item] = []
    for paths, pid, camid, dsetid in tracklets:
        ends = [*range(length, len(paths) - length + 1, length), len(paths)]
        starts = [0, *ends[:-1]]
        pieces = (paths[start:end] for start, end in zip(starts, ends, strict=True))
        cut += [(piece, pid, camid, dsetid) for piece in pieces]
    return cut


def _relabel(tracklets: Iterable[Item], pids: Iterable[int]) -> list[Item]:
    """Numbers the pids of tracklets from 0, in the order in which they first appear in `pids`."""
    labels = {pid: label for label, pid in enumerate(dict.fromkeys(pids))}
    return [(paths, labels[pid], camid, dsetid) for paths, pid, camid, dsetid in tracklets]
