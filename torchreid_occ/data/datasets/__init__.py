"""Datasets by name; some have the name of a torchreid dataset, whose reader they correct."""

from typing import Any

from torchreid_occ._registry import IMAGE_DATASETS, VIDEO_DATASETS, register_dataset, unknown_name
from torchreid_occ._torchreid import factory_table, torchreid
from torchreid_occ.data.datasets import image, video  # noqa: F401  importing these fills the tables
from torchreid_occ.data.datasets.base import TrackletDataset

__all__ = [
    "IMAGE_DATASETS",
    "VIDEO_DATASETS",
    "TrackletDataset",
    "dataset_class",
    "register_dataset",
]


def dataset_class(name: str) -> type[Any]:
    """Returns the dataset class of a name: ours first, then torchreid's.

    Args:
        name: Name of a video or image dataset.

    Raises:
        ValueError: If neither has the name; lists the names there are.
    """
    tables = (
        VIDEO_DATASETS,
        IMAGE_DATASETS,
        factory_table(torchreid.data.datasets, "__video_datasets"),
        factory_table(torchreid.data.datasets, "__image_datasets"),
    )
    for table in tables:
        if name in table:
            return table[name]
    known = {known for table in tables for known in table}
    raise ValueError(unknown_name("dataset", name, known))
