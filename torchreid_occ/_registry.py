"""Tables of models, criteria and datasets by name, filled by decorators where each is defined.

Imports nothing of this package; :mod:`torchreid_occ.registry` copies the tables into torchreid's
factories.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

T = TypeVar("T")


class Table(dict[str, Any]):
    """Definitions by name.

    Args:
        kind: What the definitions are, for messages, such as 'model'.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def register(self, name: str) -> Callable[[T], T]:
        """Returns a decorator that registers a definition.

        Args:
            name: Name of the definition.

        Raises:
            ValueError: If the name is taken.
        """

        def enter(definition: T) -> T:
            if name in self:
                raise ValueError(f"There is already a {self.kind} {name!r}.")
            self[name] = definition
            return definition

        return enter

    def __missing__(self, name: str) -> Any:
        raise KeyError(unknown_name(self.kind, name, self))


MODELS = Table("model")
CRITERIA = Table("criterion")
VIDEO_DATASETS = Table("video dataset")
IMAGE_DATASETS = Table("image dataset")


def register_model(name: str) -> Callable[[T], T]:
    """Returns a decorator that registers the builder of a clip model.

    Args:
        name: Its ``model.name`` in configurations.
    """
    return MODELS.register(name)


def register_criterion(name: str) -> Callable[[T], T]:
    """Returns a decorator that registers the class of a criterion.

    Args:
        name: Its ``loss.name`` in configurations.
    """
    return CRITERIA.register(name)


def register_dataset(name: str, kind: Literal["video", "image"] = "video") -> Callable[[T], T]:
    """Returns a decorator that registers the class of a dataset.

    Args:
        name: Its name in ``data.sources`` and ``data.targets``.
        kind: Whether an item is a tracklet ('video') or an image.
    """
    return {"video": VIDEO_DATASETS, "image": IMAGE_DATASETS}[kind].register(name)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Returns the error message for an unknown name.

    Args:
        kind: What the name stands for, such as 'model'.
        name: The unknown name.
        known: The known names.
    """
    return f'Received {kind} "{name}", but expected to be one of {sorted(known)}'
