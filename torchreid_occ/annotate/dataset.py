"""Annotates a dataset by name: loads the networks, annotates every frame and reports quality."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchreid_occ._types import StrPath
from torchreid_occ.annotate.frames import name_frames
from torchreid_occ.annotate.make import make_supervision
from torchreid_occ.annotate.options import BlazePoseOptions, FinderOptions
from torchreid_occ.annotate.report import write_report
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.supervision import supervision_of
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.utils.checks import check_choice


def annotate_dataset(
    name: str,
    root: str,
    folder: StrPath,
    *,
    split_id: int = 0,
    dataset_options: Mapping[str, Any] | None = None,
    subsets: Sequence[str] = SUBSETS,
    max_tracklets: int | None = None,
    finder_options: FinderOptions | BlazePoseOptions | None = None,
    batch_size: int = 8,
    workers: int = 2,
) -> Path:
    """Writes key point lines and foreground maps of all frames of a dataset, and a report.

    A killed call is continued by the same call.

    Args:
        name: Name of the dataset.
        root: Folder that holds the datasets.
        folder: Where the supervision is written: a new folder, or that of a killed call.
        split_id: Split of the dataset.
        dataset_options: Further arguments of the dataset's constructor.
        subsets: Which of train, query and gallery are annotated.
        max_tracklets: Annotate the first tracklets of each subset only, for a trial.
        finder_options: Networks and thresholds; torchvision's R-CNNs if None.
        batch_size: Frames in a batch of the networks.
        workers: Processes that read images.

    Returns:
        Path of the report.

    Raises:
        WeightsUnavailable: If a network's weights are neither cached nor downloadable.
        FileNotFoundError: If the dataset or a file of weights does not exist.
        ImportError: If a package that the network needs is not installed.
        ValueError: If `folder` holds something else, a file cannot be read, or there is no such
            subset.
    """
    for subset in subsets:
        check_choice("subsets", subset, SUBSETS)
    finder = (finder_options or FinderOptions()).load()
    options = dict(dataset_options or {})
    dataset = load_dataset(name, root, split_id, options=options)
    everything = tracklets_of(dataset)
    tracklets = {
        subset: items[:max_tracklets] if subset in subsets else []
        for subset, items in everything.items()
    }
    plan = {"source": {"name": name, "split_id": split_id, "options": options}, **finder.plan}
    names = name_frames(everything)
    found = make_supervision(folder, tracklets, finder.find, plan, batch_size, workers, names)
    truth = supervision_of(dataset)
    return write_report(folder, tracklets, found, truth)
