"""The engine of completion networks: a generator against discriminators, led by an ID guider."""

from contextlib import contextmanager

import torch

from torchreid_occ.completion.loss import realness_loss
from torchreid_occ.engine.base import CheckpointedEngine
from torchreid_occ.engine.precision import full_precision
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

# What each discriminator sees of a frame.
VIEWS = {"local": lambda frame, mask: mask * frame, "global": lambda frame, mask: frame}
FLOOR = 0.01  # a discriminator's loss below which it can hardly be fooled
PATIENCE = 1000  # steps there after which it has won


class CompletionEngine(CheckpointedEngine):
    """Trains any generator against any discriminators in alternation.

    Each step teaches the discriminators real frames from completed ones, then the generator by the
    criterion. The guider is none of the engine's registered models, which are all put into train
    mode and opened at each epoch.

    Reference: VRSTC, Sections 3.6 and 5.2.

    Args:
        datamanager: Its batches have ``img``, ``mask``, ``previous``, ``following`` and ``pid``.
        generator: Maps frame, mask, previous and following frame to a ``Completion``.
        optimizer: Its optimiser.
        scheduler: Its scheduler, or None.
        discriminators: ``{name: (module, optimiser, scheduler)}``, names of ``VIEWS``; may be
            empty.
        criterion: A ``CompletionLoss``.
        guider: Maps completed frames to logits of identities, or None.
        seed: Seed of the run.
        use_gpu: Use a GPU if there is one.
        metadata: Plain values every checkpoint carries.
        precision: What the networks compute in, one of ``PRECISIONS``.
    """

    def __init__(
        self,
        datamanager,
        generator,
        optimizer,
        scheduler,
        discriminators,
        criterion,
        guider=None,
        seed=1,
        use_gpu=True,
        metadata=None,
        precision="float32",
    ):
        super().__init__(datamanager, seed, use_gpu, metadata, precision)
        self.generator, self.optimizer = generator, optimizer
        self.discriminators, self.criterion, self.guider = discriminators, criterion, guider
        self.register_model("generator", generator, optimizer, scheduler)
        for name, parts in discriminators.items():
            self.register_model(f"{name}_discriminator", *parts)
        self._steps_at_floor = dict.fromkeys(discriminators, 0)

    def forward_backward(self, batch):
        """One step of every network on a batch; returns all losses as numbers."""
        frame, mask, *neighbours, pids = self._on_device(
            batch, ("img", "mask", "previous", "following", "pid")
        )
        completion = self._computed(self.generator, frame, mask, *neighbours)
        final = completion.final
        taught = {
            f"{name}_discriminator": self._teach(name, frame, final.detach(), mask)
            for name in self.discriminators
        }
        with _frozen(module for module, *_ in self.discriminators.values()):
            judgements = {
                name: self._computed(module, VIEWS[name](final, mask))
                for name, (module, *_) in self.discriminators.items()
            }
            guess = None if self.guider is None else self._computed(self.guider, final)
            losses = self.criterion(completion, frame, judgements, guess, pids)
            numbers = {name: value.item() for name, value in losses.items()}
            self.check_finite(numbers)
            self.precision.minimise(losses["loss"], self.optimizer)
        return {**numbers, **taught}

    @torch.no_grad()
    def test(self, **_options):
        """Completes the held-out frames; ``self.results`` has the mean distance in the masks.

        Absolute differences, in grey levels of 255, of each generator's frame from the original.
        """
        self.set_model_mode("eval")
        sums, pixels = {}, 0.0
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

    def _teach(self, name, frame, completed, mask):
        """One step of a discriminator; returns its loss."""
        module, optimizer, _ = self.discriminators[name]
        real, fake = (
            self._computed(module, VIEWS[name](shown, mask)) for shown in (frame, completed)
        )
        loss = realness_loss(real) + realness_loss(fake, False)
        number = loss.item()
        self.check_finite({f"{name}_discriminator": number})
        self.precision.minimise(loss, optimizer)
        self._watch(name, number)
        return number

    def _computed(self, network, *inputs):
        """What a network makes of its inputs in the run's precision, in full precision."""
        with self.precision.autocast():
            return full_precision(network(*inputs))

    def _watch(self, name, loss):
        """Says once when a discriminator has won, from which no generator learns any more."""
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

    def _on_device(self, batch, names):
        values = [batch[name] for name in names]
        return [value.cuda(non_blocking=True) for value in values] if self.use_gpu else values


@contextmanager
def _frozen(modules):
    """Keeps gradients from the weights of modules, not from what passes through them."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
