"""Which stages of an image network follow one another directly, and can be run as one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torchreid_occ.models.backbones import Stage
from torchreid_occ.utils.nested import map_tensors


@torch.inference_mode()
def chains_of(model: nn.Module, stages: Mapping[str, Stage], batch: Tensor) -> list[list[str]]:
    """Groups stages: one is with the stage before it if it alone reads that stage's map.

    Args:
        model: The model, in eval mode on the CPU.
        stages: From `stages_of`.
        batch: Clips, `(B, T, 3, H, W)`.

    Returns:
        The names of the stages of each group, in the order in which they run.
    """
    readers = _Readers()
    handles: list[Any] = []
    for name, stage in stages.items():
        handles.append(stage.register_forward_pre_hook(readers.before(name)))
        handles.append(stage.register_forward_hook(readers.behind(name)))
    try:
        with readers:
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
    chains: list[list[str]] = []
    for name in readers.order:
        if readers.alone(name):
            chains[-1].append(name)
        else:
            chains.append([name])
    return chains


class _Readers(TorchFunctionMode):
    """Notes who reads the maps of stages.

    Attributes:
        order: Names of the stages, as they run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []
        self._made: dict[int, str] = {}
        self._held: list[Tensor] = []  # so that no other tensor gets the id of one
        self._reads: dict[str, list[str | None]] = {}  # by stage, who reads its map
        self._inside = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if not self._inside:
            map_tensors(lambda tensor: self._note(tensor, None), (args, kwargs or {}))
        return func(*args, **(kwargs or {}))

    def before(self, name: str) -> Callable[..., None]:
        """Returns the hook before a stage.

        Args:
            name: Name of the stage.
        """

        def hook(_: nn.Module, values: tuple[Tensor, ...]) -> None:
            self.order.append(name)
            self._note(values[0], name)
            self._inside = True

        return hook

    def behind(self, name: str) -> Callable[..., None]:
        """Returns the hook behind a stage.

        Args:
            name: Name of the stage.
        """

        def hook(_: nn.Module, values: tuple[Tensor, ...], maps: Tensor) -> None:
            self._inside = False
            self._made[id(maps)] = name
            self._held.append(maps)

        return hook

    def alone(self, name: str) -> bool:
        """Returns whether a stage reads the map of the stage before it, and nothing else does.

        Args:
            name: Name of the stage.
        """
        place = self.order.index(name)
        once = self.order.count(name) == 1
        return once and place > 0 and self._reads.get(self.order[place - 1]) == [name]

    def _note(self, tensor: Tensor, reader: str | None) -> Tensor:
        stage = self._made.get(id(tensor))
        if stage is not None:
            self._reads.setdefault(stage, []).append(reader)
        return tensor
