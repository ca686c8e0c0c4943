"""The engine of completion networks: a generator, discriminators and an ID guider."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from torchreid_occ._types import Batch
from torchreid_occ.completion.guider import IdGuider
from torchreid_occ.completion.loss import CompletionLoss, realness_loss
from torchreid_occ.engine.base import CheckpointedEngine
from torchreid_occ.engine.precision import full_precision
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

# The part of a frame that each discriminator reads, by its name.
# Paper silent [V19]: Eq. 8 shows the local discriminator the masked full frame.
VIEWS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "local": lambda frame, mask: mask * frame,
    "global": lambda frame, mask: frame,
}
FLOOR = 0.01  # a discriminator's loss below which it has no useful gradient for the generator
PATIENCE = 1000  # steps below it until a warning


class Trained(NamedTuple):
    """A network with its optimiser and its scheduler, if it has one."""

    module: nn.Module
    optimizer: Optimizer
    scheduler: Any = None  # torch's schedulers have no public base of their own


class CompletionEngine(CheckpointedEngine):
    """Trains a generator and any number of discriminators in alternation.

    Each step trains the discriminators to tell original from completed frames, then the generator
    by the criterion. The guider is not registered, as the engine trains all registered models.

    Reference: VRSTC, Sections 3.6 and 5.2.

    Args:
        datamanager: Its batches have ``img``, ``mask``, ``previous``, ``following`` and ``pid``.
        generator: Its module maps frame, mask, previous and following frame to a ``Completion``.
        discriminators: Discriminators by name of ``VIEWS``; may be empty.
        criterion: The criterion of the generator.
        guider: Classifier of completed frames, or None.
        seed: Seed of the run.
        use_gpu: Use a GPU if there is one.
        metadata: Plain values that every checkpoint carries.
        precision: Precision of the networks, one of ``PRECISIONS``.
    """

    def __init__(
        self,
        datamanager: Any,
        generator: Trained,
        discriminators: Mapping[str, Trained],
        criterion: CompletionLoss,
        guider: IdGuider | None = None,
        *,
        seed: int = 1,
        use_gpu: bool = True,
        metadata: Mapping[str, Any] | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__(datamanager, seed, use_gpu, metadata, precision)
        self.generator, self.optimizer = generator.module, generator.optimizer
        self.discriminators, self.criterion, self.guider = discriminators, criterion, guider
        self.register_model("generator", *generator)
        for name, parts in discriminators.items():
            self.register_model(f"{name}_discriminator", *parts)
        self._steps_at_floor = dict.fromkeys(discriminators, 0)

    def forward_backward(self, batch: Batch) -> dict[str, float]:
        """Trains every network on a batch and returns all losses.

        Args:
            batch: A batch of the data manager.
        """
        frame, mask, *neighbours, pids = self._on_device(
            batch, ("img", "mask", "previous", "following", "pid")
        )
        completion = self._computed(self.generator, frame, mask, *neighbours)
        final = completion.final
        discriminating = {
            f"{name}_discriminator": self._train_discriminator(name, frame, final.detach(), mask)
            for name in self.discriminators
        }
        with _frozen(parts.module for parts in self.discriminators.values()):
            realness = {
                name: self._computed(parts.module, VIEWS[name](final, mask))
                for name, parts in self.discriminators.items()
            }
            identity = None if self.guider is None else self._computed(self.guider, final)
            losses = self.criterion(completion, frame, realness, identity, pids)
            numbers = {name: value.item() for name, value in losses.items()}
            self.check_finite(numbers)
            self.precision.minimise(losses["loss"], self.optimizer)
        return {**numbers, **discriminating}

    @torch.no_grad()
    def test(self, **_options: Any) -> None:
        """Completes the held-out frames and sets ``self.results``.

        They are the mean absolute differences, in grey levels of 255, between each generator's
        frames and the original ones inside the masks.
        """
        self.set_model_mode("eval")
        sums: dict[str, float] = {}
        pixels = 0.0
        for batch in progress(self.test_loader, "completion", unit="batch"):
            frame, mask, *neighbours = self._on_device(
                batch, ("img", "mask", "previous", "following")
            )
            completion = self.generator(frame, mask, *neighbours)
            for name, part in completion._asdict().items():
                if part is not None:
                    sums[name] = sums.get(name, 0.0) + (part - frame).abs().sum().item()
            pixels += 3 * mask.sum().item()
        self.results = {
            name: {"grey_levels": 127.5 * total / pixels} for name, total in sums.items()
        }
        for name, result in self.results.items():
            logger.info("%s completion: %.1f grey levels off", name, result["grey_levels"])

    def _train_discriminator(
        self, name: str, frame: Tensor, completed: Tensor, mask: Tensor
    ) -> float:
        """Trains a discriminator for one step and returns its loss."""
        module, optimizer, _ = self.discriminators[name]
        real, fake = (
            self._computed(module, VIEWS[name](shown, mask)) for shown in (frame, completed)
        )
        loss = realness_loss(real) + realness_loss(fake, False)
        number: float = loss.item()
        self.check_finite({f"{name}_discriminator": number})
        self.precision.minimise(loss, optimizer)
        self._watch(name, number)
        return number

    def _computed(self, network: nn.Module, *inputs: Tensor) -> Any:
        """Runs a network in the run's precision and returns its outputs in full precision."""
        with self.precision.autocast():
            return full_precision(network(*inputs))

    def _watch(self, name: str, loss: float) -> None:
        """Warns once when a discriminator's loss has stayed at the floor."""
        self._steps_at_floor[name] = self._steps_at_floor[name] + 1 if loss < FLOOR else 0
        if self._steps_at_floor[name] == PATIENCE:
            logger.warning(
                "The %s discriminator has won: its loss has been below %g for %d steps, so that "
                "the generator learns nothing from it. Lower completion.lr_discriminator, or set "
                "completion.loss.saturating false.",
                name,
                FLOOR,
                PATIENCE,
            )

    def _on_device(self, batch: Batch, names: Iterable[str]) -> list[Tensor]:
        values = [batch[name] for name in names]
        return [value.cuda(non_blocking=True) for value in values] if self.use_gpu else values


@contextmanager
def _frozen(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Disables gradients of the modules' weights; those of their inputs are still computed."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
