"""Copies the package's models and datasets into torchreid's factories."""

import torchreid_occ.completion.dataset
import torchreid_occ.data.datasets
import torchreid_occ.losses
import torchreid_occ.models
import torchreid_occ.occlusion
import torchreid_occ.occwalk  # noqa: F401  importing these fills the tables
from torchreid_occ._registry import IMAGE_DATASETS, MODELS, VIDEO_DATASETS
from torchreid_occ._torchreid import factory_table, torchreid
from torchreid_occ.models.clip_model import torchreid_builder


def register() -> None:
    """Registers our datasets and models with torchreid; calling it twice changes nothing.

    Names that torchreid has already (``mars``, ...) keep torchreid's definitions; our corrected
    readers of these datasets are found by :func:`torchreid_occ.data.datasets.dataset_class`.
    """
    for kind, datasets in (("video", VIDEO_DATASETS), ("image", IMAGE_DATASETS)):
        add = getattr(torchreid.data, f"register_{kind}_dataset")
        theirs = factory_table(torchreid.data.datasets, f"__{kind}_datasets")
        for name in sorted(datasets.keys() - theirs.keys()):
            add(name, datasets[name])
    models = factory_table(torchreid.models, "__model_factory")
    for name in sorted(MODELS.keys() - models.keys()):
        models[name] = torchreid_builder(MODELS[name])
