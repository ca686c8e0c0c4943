"""The models and datasets that can become part of torchreid."""

from typing import NamedTuple

from torchreid_occ.completion.dataset import Completed
from torchreid_occ.data.datasets import IMAGE_DATASETS, VIDEO_DATASETS
from torchreid_occ.models import MODELS
from torchreid_occ.occwalk import OccWalk

TABLES = {"model": MODELS, "video": VIDEO_DATASETS, "image": IMAGE_DATASETS}
REFUSED = {
    Completed: "it reads what the completion pipeline of torchreid_occ has written of any dataset, "
    "and torchreid has no such pipeline",
    OccWalk: "it is rendered when it is first read, by a renderer that is a package of its own, "
    "and torchreid has readers only",
}


class Part(NamedTuple):
    """A model's builder or a dataset's class.

    kind: 'model', 'video' or 'image' (a dataset's); name: what torchreid's factory calls it.
    """

    kind: str
    name: str
    definition: type

    @property
    def module(self):
        """Where it goes in torchreid."""
        folder = "models" if self.kind == "model" else f"data.datasets.{self.kind}"
        return f"{folder}.{self.name}"

    @property
    def factory(self):
        """The module and the name of the table that torchreid builds it from."""
        if self.kind == "model":
            return "models.__init__", "__model_factory"
        return "data.datasets.__init__", f"__{self.kind}_datasets"


def find_part(name):
    """Finds a model or a dataset by name.

    Raises:
        KeyError: If there is none of this name; lists those there are.
        ValueError: If it cannot be exported; says why and what to do.
    """
    for kind, table in TABLES.items():
        if name in table:
            _refuse(name, table[name])
            return Part(kind, name, table[name])
    known = sorted(name for table in TABLES.values() for name in table)
    raise KeyError(f'Received "{name}", but expected a model or dataset, one of {known}')


def _refuse(name, definition):
    for refused, reason in REFUSED.items():
        if isinstance(definition, type) and issubclass(definition, refused):
            raise ValueError(
                f"{name} cannot be exported: {reason}. Users of torchreid have it after "
                "`import torchreid_occ`, which registers it."
            )
