"""Mixed precision: networks in half precision, losses and weights in full."""

import torch

from torchreid_occ.utils.nested import map_tensors

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Precision:
    """How the networks of a run compute, and the optimiser step that suits it.

    Args:
        name: One of ``PRECISIONS``. What 'float16' cannot hold of a gradient is scaled up before
            the backward pass; steps whose gradients overflow are left out.
        device: 'cpu' or 'cuda'.

    Raises:
        ValueError: If it is 'float16' on a CPU.
    """

    def __init__(self, name: str, device: str):
        if name == "float16" and device == "cpu":
            raise ValueError(
                "precision is 'float16', which needs a GPU: CPUs compute in 'bfloat16'."
            )
        self.dtype, self.device = PRECISIONS[name], device
        self.scaler = torch.amp.GradScaler(device, enabled=name == "float16")

    def autocast(self):
        """The context in which a network computes."""
        return torch.autocast(self.device, self.dtype, enabled=self.dtype is not None)

    def minimise(self, loss, optimizer, clip=None):
        """One step of an optimiser.

        Args:
            loss: What it lowers, a scalar.
            optimizer: The optimiser.
            clip: Called without arguments once the gradients are there.
        """
        optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        if clip is not None:
            self.scaler.unscale_(optimizer)
            clip()
        self.scaler.step(optimizer)
        self.scaler.update()


def full_precision(outputs):
    """A network's outputs, nested in any way, none in half precision."""
    return map_tensors(_full, outputs)


def _full(tensor):
    return tensor.float() if tensor.dtype in PRECISIONS.values() else tensor
