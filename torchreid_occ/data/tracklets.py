"""Lists of tracklets from datasets: loaded by name, joined over sources, split for validation."""

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torchvision.transforms.functional import pil_to_tensor

from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.datasets.base import absence_message

# What the data manager passes itself, or what torchreid's own data managers would.
_MANAGED = {"self", "root", "split_id", "transform", "k_tfm", "mode", "combineall", "verbose"}
_INSTEAD = (
    "Without the data, the same config runs on embedded data:\n"
    "    torchreid-occ train --config-file <same config> -s occwalk_tiny -t occwalk_tiny"
)


def load_dataset(
    name: str,
    root: str = "",
    split_id: int = 0,
    combineall: bool = False,
    options: Mapping | None = None,
):
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


def tracklets_of(dataset) -> dict[str, list[tuple]]:
    """The train, query and gallery tracklets of a dataset; an image becomes a one-frame tracklet.

    torchreid lists and labels images in the order of the file system; here the path decides.

    Args:
        dataset: A video or image dataset in torchreid's form.
    """
    subsets = {subset: list(getattr(dataset, subset)) for subset in ("train", "query", "gallery")}
    first = next(item for items in subsets.values() for item in items)
    if not isinstance(first[0], str):
        return subsets
    for subset, items in subsets.items():
        subsets[subset] = [((path,), *item) for path, *item in sorted(items)]
    subsets["train"] = _relabel(subsets["train"], (pid for _, pid, *_ in subsets["train"]))
    return subsets


def join_sources(sources: Sequence[Sequence[tuple]]) -> tuple[list[tuple], list[int]]:
    """Joins the training tracklets of several datasets; no pid, camid or dsetid is shared.

    Args:
        sources: The training tracklets of each dataset.

    Returns:
        All tracklets, and the offset of each dataset's ``dsetid``.
    """
    joined, dsetid_offsets = [], []
    offsets = np.zeros(3, int)
    for tracklets in sources:
        joined += [
            (paths, *(int(label) for label in offsets + labels)) for paths, *labels in tracklets
        ]
        dsetid_offsets.append(int(offsets[2]))
        offsets += 1 + np.max([labels for _, *labels in tracklets], axis=0)
    return joined, dsetid_offsets


def hold_out_identities(
    tracklets: Sequence[tuple], num_identities: int | None, seed: int
) -> tuple[list[tuple], list[tuple]]:
    """Sets training identities aside to choose a checkpoint on.

    Args:
        tracklets: Training tracklets.
        num_identities: How many identities, drawn by the seed among those that two cameras see (all
            of these if they are fewer). None takes a hundred, as the RFCnet
            paper does (section 6.6), of five hundred or more, else a tenth.
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
    return _relabel(remaining, (pid for pid in pids if pid not in chosen)), held_out


def _relabel(tracklets, pids):
    """Numbers the pids of tracklets from 0, in the order in which they first appear in `pids`."""
    labels = {pid: label for label, pid in enumerate(dict.fromkeys(pids))}
    return [(paths, labels[pid], *rest) for paths, pid, *rest in tracklets]
