"""The one place that touches torchreid's factories.

PyPI's torchreid 0.2.5 keeps its modules under ``torchreid.reid`` and hangs them as attributes under
``torchreid``; upstream 1.4.0 has them as ``torchreid.*``. Both offer the same attributes, so all of
the package reaches torchreid as ``from torchreid_occ.registry import torchreid``.
"""

from torchreid_occ.utils.dependencies import import_torchreid

torchreid = import_torchreid()


def register():
    """Registers our datasets and models in torchreid's registries; doing so twice changes nothing.

    Names torchreid already has (``mars``, ...) are left to it: our corrected readers of those are
    found through :func:`dataset_class`.
    """
    from torchreid_occ.data.datasets import IMAGE_DATASETS, VIDEO_DATASETS
    from torchreid_occ.models import MODELS
    from torchreid_occ.models.clip_model import torchreid_builder

    for kind, datasets in (("video", VIDEO_DATASETS), ("image", IMAGE_DATASETS)):
        add = getattr(torchreid.data, f"register_{kind}_dataset")
        for name in datasets.keys() - _table(torchreid.data.datasets, f"__{kind}_datasets").keys():
            add(name, datasets[name])
    models = _table(torchreid.models, "__model_factory")
    for name in MODELS.keys() - models.keys():
        models[name] = torchreid_builder(MODELS[name])


def dataset_class(name):
    """The dataset class of a name: ours first, then torchreid's.

    Raises:
        ValueError: If neither has the name; lists the names there are.
    """
    from torchreid_occ.data.datasets import IMAGE_DATASETS, VIDEO_DATASETS

    tables = (
        VIDEO_DATASETS,
        IMAGE_DATASETS,
        _table(torchreid.data.datasets, "__video_datasets"),
        _table(torchreid.data.datasets, "__image_datasets"),
    )
    for table in tables:
        if name in table:
            return table[name]
    known = sorted(set().union(*tables))
    raise ValueError(f"Unknown dataset {name!r}: expected one of {known}.")


def torchreid_models():
    """Names of the models torchreid's own builder offers, without those we registered."""
    from torchreid_occ.models import MODELS

    return sorted(_table(torchreid.models, "__model_factory").keys() - MODELS.keys())


def _table(module, name):
    """A registry of torchreid, under its private name: models have no public way in."""
    return vars(module)[name]
