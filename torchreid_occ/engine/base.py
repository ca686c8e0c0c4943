"""Base of the engines: a training loop that resumes exactly and stops when a loss diverges."""

import copy
import datetime
import math
import time
from collections.abc import Collection, Mapping
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from torchreid_occ._torchreid import torchreid
from torchreid_occ._types import Batch, StrPath
from torchreid_occ.engine.resumable import ResumableEngine
from torchreid_occ.utils.checkpoint import (
    checkpoint_epochs,
    checkpoint_path,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from torchreid_occ.utils.files import naming
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.memory import keep_freed_memory
from torchreid_occ.utils.processes import is_first_process, wait_for_all
from torchreid_occ.utils.progress import progress
from torchreid_occ.utils.randomness import seed_everything

KEPT = 2  # last checkpoints that a run keeps, so that one is whole while the next is written


class CheckpointedEngine(ResumableEngine):
    """Trains any number of registered models; a resumed run equals an uninterrupted one.

    A subclass implements ``forward_backward`` and, where it selects a checkpoint, ``validate``.
    The arguments are those of `ResumableEngine`.

    Attributes:
        results: Of the last test, by target.
    """

    results: dict[str, Any]
    writer: SummaryWriter | None

    def run(
        self,
        save_dir: StrPath = "log",
        max_epoch: int = 0,
        max_iter: int = 0,
        checkpoint_freq: int = 10,
        print_freq: int = 20,
        fixbase_epoch: int = 0,
        open_layers: Collection[str] | None = None,
        eval_freq: int = 10,
        start_eval: int = 0,
        test_only: bool = False,
        keep_last: int = 0,
        **test_options: Any,
    ) -> dict[str, dict[str, Any]]:
        """Trains up to ``max_epoch``, from the latest checkpoint in ``save_dir`` on, and tests.

        Args:
            save_dir: Folder of the run.
            max_epoch: Epochs in total.
            max_iter: Where not 0, steps in total instead; the last epoch ends with the last step,
                and schedulers count steps.
            checkpoint_freq: Epochs between checkpoints that stay, 0 for none; the last epoch always
                has one.
            print_freq: Batches between lines of the log.
            fixbase_epoch: First epochs in which only ``open_layers`` train.
            open_layers: Names of the layers that train in these epochs.
            eval_freq: Epochs between validations; the last epoch always has one, at -1 alone.
            start_eval: Epochs before the first validation.
            test_only: Test the weights as they are.
            keep_last: Where not 0, every epoch has a checkpoint, of which so many of the last and
                the best stay, beside those of ``checkpoint_freq``.
            **test_options: Arguments of torchreid's ``Engine.test``.

        Returns:
            Results by target of the checkpoint ``last`` and, if validation selected one, of
            ``selected``.
        """
        self.save_dir, self.max_epoch, self.max_iter = save_dir, max_epoch, max_iter
        if test_only:
            return {"last": self._tested(test_options)}
        if not self.use_gpu:
            keep_freed_memory()
        start_epoch = self.resume(save_dir)
        # Steps an interrupted run logged after its last checkpoint are logged again.
        if is_first_process():
            self.writer = SummaryWriter(str(save_dir), purge_step=self.step)
        self.epoch = start_epoch - 1
        while not self._has_finished():
            self.epoch += 1
            seed_everything(self.seed, self.epoch)
            self.datamanager.set_epoch(self.epoch)
            start = time.perf_counter()
            self.train(print_freq, fixbase_epoch, open_layers)
            self.training_seconds += time.perf_counter() - start
            done, last = self.epoch + 1, self._has_finished()
            due = eval_freq > 0 and done % eval_freq == 0 and done >= start_eval
            improved = (due or last) and self._select(done)
            stays = checkpoint_freq > 0 and done % checkpoint_freq == 0
            if improved or stays or last or keep_last:
                self._save(done)
            if keep_last and is_first_process():
                self._remove_checkpoints(done, checkpoint_freq, keep_last)
        results = {"last": self._tested(test_options)}
        if self.writer is not None:
            self.writer.close()
        self.writer = None
        if self.best["epoch"]:
            results["selected"] = self._tested_at(self.best["epoch"], test_options)
        return results

    def train(
        self,
        print_freq: int = 20,
        fixbase_epoch: int = 0,
        open_layers: Collection[str] | None = None,
    ) -> None:
        """Trains one epoch; the arguments are those of `run`."""
        self.set_model_mode("train")
        self.two_stepped_transfer_learning(self.epoch, fixbase_epoch, open_layers)
        self.prepare_epoch()
        losses = torchreid.utils.MetricMeter(delimiter="  ")
        self.num_batches = len(self.train_loader)
        start = time.perf_counter()
        batches = progress(self.train_loader, f"epoch {self.epoch + 1}", unit="batch")
        for self.batch_idx, batch in enumerate(batches):
            losses.update(self.forward_backward(batch))
            self.step += 1
            for name, meter in losses.meters.items():
                self._record(f"Train/{name}", meter.val, self.step)
            done = self.batch_idx + 1
            last = done == self.num_batches or self.step == self.max_iter
            if done % print_freq == 0 or last:
                self._log_line(losses, (time.perf_counter() - start) / done)
            if last:
                self._record("Train/lr", self.get_current_lr(), self.step)
            if self.max_iter or last:
                self.update_lr()
            if last:
                break

    def forward_backward(self, batch: Batch) -> dict[str, float]:
        """Takes one training step and returns its losses.

        Args:
            batch: A batch of ``train_loader``.
        """
        raise NotImplementedError

    def prepare_epoch(self) -> None:
        """Runs before the first batch of an epoch, when the layers it trains are open."""

    def check_finite(self, losses: Mapping[str, float]) -> None:
        """Stops a diverged run before the weights are updated.

        Args:
            losses: Numbers by name.

        Raises:
            FloatingPointError: Names the first loss that is not finite, the epoch and the step.
        """
        for name, value in losses.items():
            if not math.isfinite(value):
                last = latest_checkpoint(self.save_dir)
                raise FloatingPointError(
                    f"loss {name!r} is {value} in epoch {self.epoch + 1}, batch "
                    f"{self.batch_idx + 1} of {self.num_batches}, at learning rate "
                    f"{self.get_current_lr():g}. The weights before it are in "
                    f"{last or 'no checkpoint yet'}; try a lower train.lr."
                )

    def validate(self) -> float | None:
        """Returns the mAP that selects the best checkpoint, or None if nothing is held out."""
        return None

    def _save(self, epoch: int) -> None:
        """Writes the checkpoint of an epoch on rank 0; the others wait for it."""
        if is_first_process():
            save_checkpoint(self.state(), checkpoint_path(self.save_dir, epoch))
        wait_for_all()

    def _remove_checkpoints(self, done: int, checkpoint_freq: int, keep_last: int) -> None:
        """Removes the checkpoints of earlier epochs that are not to stay."""
        for epoch in checkpoint_epochs(self.save_dir):
            stays = checkpoint_freq > 0 and epoch % checkpoint_freq == 0
            if epoch <= done - keep_last and epoch != self.best["epoch"] and not stays:
                checkpoint_path(self.save_dir, epoch).unlink(missing_ok=True)

    def _has_finished(self) -> bool:
        """Whether the epochs done so far, or the steps, are all."""
        if self.max_iter:
            return self.step >= self.max_iter
        return self.epoch + 1 >= self.max_epoch

    def _tested(self, test_options: dict[str, Any]) -> dict[str, Any]:
        self.test(**test_options)
        return self.results

    def _tested_at(self, epoch: int, test_options: dict[str, Any]) -> dict[str, Any]:
        """Tests an earlier checkpoint and puts the present weights back."""
        if epoch == self.epoch + 1:
            return self.results
        present = copy.deepcopy(self.state())
        self.load_state(load_checkpoint(checkpoint_path(self.save_dir, epoch)))
        results = self._tested(test_options)
        self.load_state(present)
        return results

    def _select(self, epoch: int) -> bool:
        """Validates, and returns whether the weights are the best so far."""
        mAP = self.validate()  # noqa: N806  the field writes mAP
        if mAP is None:
            return False
        self._record("Val/mAP", mAP, epoch)
        if mAP <= self.best["mAP"]:
            return False
        self.best = {"epoch": epoch, "mAP": mAP}
        return True

    def _record(self, name: str, value: float, step: int) -> None:
        if self.writer is not None:  # only rank 0 has one
            with naming(self.save_dir):
                self.writer.add_scalar(name, value, step)

    def _log_line(self, losses: Any, seconds_per_batch: float) -> None:
        left = self.num_batches - self.batch_idx - 1
        left += (self.max_epoch - self.epoch - 1) * self.num_batches
        if self.max_iter:
            left = self.max_iter - self.step
        eta = datetime.timedelta(seconds=round(seconds_per_batch * left))
        logger.info(
            "epoch %d/%s  batch %d/%d  %.2f s/batch  left %s  %s  lr %g",
            self.epoch + 1,
            "?" if self.max_iter else self.max_epoch,
            self.batch_idx + 1,
            self.num_batches,
            seconds_per_batch,
            eta,
            losses,
            self.get_current_lr(),
        )
