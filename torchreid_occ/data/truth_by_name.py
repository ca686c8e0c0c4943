"""Ground truth of datasets by name."""

from collections.abc import Mapping
from typing import Any

from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.ground_truth import GroundTruth, HasGroundTruth, ground_truth_of
from torchreid_occ.data.tracklets import load_dataset


def load_ground_truth(
    name: str,
    root: StrPath = "",
    split_id: int = 0,
    options: Mapping[str, Any] | None = None,
) -> GroundTruth | None:
    """Returns the ground truth of a dataset by name, or None.

    A dataset that never has any is not loaded, so it need not be there.

    Args:
        name: Name of the dataset.
        root: Folder that holds the datasets.
        split_id: Which split to read.
        options: Further arguments of the dataset's constructor.

    Raises:
        ValueError: If the name or an option is unknown.
        FileNotFoundError: If a dataset that may have ground truth is not there.
    """
    if not issubclass(dataset_class(name), HasGroundTruth):
        return None
    return ground_truth_of(load_dataset(name, root, split_id, options=options))
