"""Models and datasets that can become part of torchreid."""

from typing import Any, NamedTuple

from torchreid_occ.data.copies import CopiedDataset
from torchreid_occ.data.datasets import IMAGE_DATASETS, VIDEO_DATASETS
from torchreid_occ.models import MODELS
from torchreid_occ.occwalk import OccWalk

TABLES = {"model": MODELS, "video": VIDEO_DATASETS, "image": IMAGE_DATASETS}
REFUSED = {
    CopiedDataset: "it reads a copy that torchreid_occ made of another dataset, which torchreid "
    "cannot make",
    OccWalk: "it is rendered when it is first read, by a renderer that is a package of its own, "
    "and torchreid has readers only",
}


class Part(NamedTuple):
    """A model's builder or a dataset's class.

    Attributes:
        kind: 'model', or a dataset's 'video' or 'image'.
        name: Name of the part in torchreid's factory.
        definition: The builder or the class.
    """

    kind: str
    name: str
    definition: Any

    @property
    def module(self) -> str:
        """Module of the part inside torchreid."""
        folder = "models" if self.kind == "model" else f"data.datasets.{self.kind}"
        return f"{folder}.{self.name}"

    @property
    def factory(self) -> tuple[str, str]:
        """Module and name of torchreid's table that lists the part."""
        if self.kind == "model":
            return "models.__init__", "__model_factory"
        return "data.datasets.__init__", f"__{self.kind}_datasets"


def find_part(name: str) -> Part:
    """Finds a model or a dataset by name.

    Args:
        name: Name of the model or dataset.

    Raises:
        KeyError: If the name is unknown; lists the known ones.
        ValueError: If the part cannot be exported; says why and what to do.
    """
    for kind, table in TABLES.items():
        if name in table:
            _check_exportable(name, table[name])
            return Part(kind, name, table[name])
    known = sorted(name for table in TABLES.values() for name in table)
    raise KeyError(f'Received "{name}", but expected a model or dataset, one of {known}')


def _check_exportable(name: str, definition: Any) -> None:
    for refused, reason in REFUSED.items():
        if isinstance(definition, type) and issubclass(definition, refused):
            raise ValueError(
                f"{name} cannot be exported: {reason}. Users of torchreid have it after "
                "`import torchreid_occ`, which registers it."
            )
