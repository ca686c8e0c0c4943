"""Mixed precision: networks compute in half precision, losses and weights in full."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchreid_occ.utils.nested import map_tensors

PRECISIONS: dict[str, torch.dtype | None] = {
    "float32": None,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Precision:
    """The precision of a run's networks, and the optimiser step that suits it.

    Args:
        name: One of ``PRECISIONS``. With 'float16' the loss is scaled up, so that small gradients
            do not underflow; steps whose gradients overflow are skipped.
        device: 'cpu' or 'cuda'.

    Raises:
        ValueError: If it is 'float16' on a CPU.
    """

    def __init__(self, name: str, device: str) -> None:
        if name == "float16" and device == "cpu":
            raise ValueError(
                "precision is 'float16', which needs a GPU: CPUs compute in 'bfloat16'."
            )
        self.dtype, self.device = PRECISIONS[name], device
        self.scaler = torch.amp.GradScaler(device, enabled=name == "float16")

    def autocast(self) -> torch.autocast:
        """Returns the context in which a network computes."""
        return torch.autocast(self.device, self.dtype, enabled=self.dtype is not None)

    def minimise(
        self, loss: Tensor, optimizer: Optimizer, clip: Callable[[], None] | None = None
    ) -> None:
        """Takes one step of an optimiser.

        Args:
            loss: The scalar it lowers.
            optimizer: The optimiser.
            clip: Clips the gradients.
        """
        optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        if clip is not None:
            self.scaler.unscale_(optimizer)
            clip()
        self.scaler.step(optimizer)
        self.scaler.update()


def full_precision(outputs: Any) -> Any:
    """Returns outputs of a network with half precision tensors converted to float32.

    Args:
        outputs: Tensors, nested in any way.
    """
    return map_tensors(_full, outputs)


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in PRECISIONS.values() else tensor
