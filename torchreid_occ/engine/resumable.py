"""State of an engine, from which an interrupted run is resumed."""

import time
from collections.abc import Mapping
from typing import Any, Protocol, TypedDict

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from torchreid_occ._torchreid import torchreid
from torchreid_occ._types import StrPath
from torchreid_occ.engine.precision import Precision
from torchreid_occ.utils.checkpoint import (
    checkpoint_path,
    latest_checkpoint,
    load_checkpoint,
)
from torchreid_occ.utils.files import remove_partial_files
from torchreid_occ.utils.layout import lay_out_channels_last
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.processes import is_first_process, wait_for_all


class TrainingData(Protocol):
    """What an engine reads of a data manager: training batches, and what is tested on."""

    train_loader: Any
    test_loader: Any

    def set_epoch(self, epoch: int) -> None:
        """Draws the training items of an epoch, counted from 0."""


class Best(TypedDict):
    """The best validated checkpoint.

    Attributes:
        epoch: Its number of epochs, 0 if none was validated.
        mAP: Its validation mAP.
    """

    epoch: int
    mAP: float


class ResumableEngine(torchreid.engine.Engine):
    """Holds registered models and the state from which a run is resumed exactly.

    All random draws of an epoch follow from (seed, epoch), so that a checkpoint after each few
    epochs is all that an exact resume needs.

    Args:
        datamanager: The data.
        seed: Seed of the run.
        use_gpu: Use a GPU if there is one.
        metadata: Plain values that every checkpoint carries, such as the configuration.
        precision: What networks compute in, one of ``PRECISIONS``.

    Attributes:
        step: Training steps done.
        best: The best validated checkpoint.
        training_seconds: Seconds of training alone, those before a resume included: without tests,
            data set-up and checkpoints.
    """

    def __init__(
        self,
        datamanager: TrainingData,
        seed: int = 1,
        use_gpu: bool = True,
        metadata: Mapping[str, Any] | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__(datamanager, use_gpu)
        self.seed = seed
        self.precision = Precision(precision, "cuda" if self.use_gpu else "cpu")
        self.metadata = metadata or {}
        self.step = 0
        self._started = time.perf_counter()
        self.training_seconds = 0.0
        self.best: Best = {"epoch": 0, "mAP": -1.0}

    def register_model(
        self,
        name: str,
        model: nn.Module,
        optim: Optimizer | None = None,
        sched: LRScheduler | None = None,
    ) -> None:
        """Registers a model and lays out its weights channels last.

        Args:
            name: Name of the model, under which checkpoints keep it.
            model: The model.
            optim: Its optimiser.
            sched: Its scheduler.
        """
        lay_out_channels_last(model)
        super().register_model(name, model, optim, sched)

    @property
    def seconds(self) -> float:
        """Seconds spent on training and testing, those before a resume included."""
        return time.perf_counter() - self._started

    def state(self) -> dict[str, Any]:
        """Returns all that a resumed run needs, as tensors and plain Python."""
        models = {}
        for name in self.get_model_names():
            models[name] = {
                "state_dict": self._models[name].state_dict(),
                "optimizer": _state(self._optims[name]),
                "scheduler": _state(self._scheds[name]),
            }
        return {
            **self.metadata,
            "epoch": self.epoch + 1,
            "step": self.step,
            "seconds": self.seconds,
            "training_seconds": self.training_seconds,
            "best": dict(self.best),
            "scaler": self.precision.scaler.state_dict(),
            "models": models,
            # torchreid's own loader looks for the weights here; the tensors are stored once.
            "state_dict": next(iter(models.values()))["state_dict"],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Puts every registered model, optimiser and scheduler into a saved state.

        Args:
            state: From `state`.
        """
        for name in self.get_model_names():
            saved = state["models"][name]
            self._models[name].load_state_dict(saved["state_dict"])
            for part, key in ((self._optims, "optimizer"), (self._scheds, "scheduler")):
                if part[name] is not None:
                    part[name].load_state_dict(saved[key])
        self.precision.scaler.load_state_dict(state["scaler"])
        self.step = state["step"]
        self.best = {"epoch": state["best"]["epoch"], "mAP": state["best"]["mAP"]}

    def resume(self, save_dir: StrPath) -> int:
        """Loads the latest checkpoint of a run, if any.

        Args:
            save_dir: Folder of the run.

        Returns:
            The number of epochs trained so far.
        """
        if is_first_process():
            remove_partial_files(checkpoint_path(save_dir, 0).parent)
        wait_for_all()
        path = latest_checkpoint(save_dir)
        if path is None:
            return 0
        # Checkpoints of 0.1.0 do not have the seconds of training alone.
        needed = self.state().keys() - {"training_seconds"}
        state: dict[str, Any] = load_checkpoint(path, needed=needed)
        self.load_state(state)
        self.epoch = state["epoch"] - 1
        self._started = time.perf_counter() - state["seconds"]
        self.training_seconds = state.get("training_seconds", state["seconds"])
        logger.info("Resumed after epoch %d from %s.", state["epoch"], path)
        return self.epoch + 1


def _state(part: Optimizer | LRScheduler | None) -> dict[str, Any] | None:
    return None if part is None else part.state_dict()
