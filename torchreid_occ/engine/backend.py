"""What a configuration's ``engine`` chooses: how its parts are built and run."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from yacs.config import CfgNode

from torchreid_occ.engine.evaluation import Inference, TargetResult
from torchreid_occ.engine.optimizers import build_optimizer, build_scheduler
from torchreid_occ.metrics import METRIC_LEARNERS
from torchreid_occ.models.backbones import Origin
from torchreid_occ.utils.checkpoint import load_matching_weights, load_parts, load_weights
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.processes import process_count
from torchreid_occ.utils.weights import WeightsUnavailable


class BuiltModel(NamedTuple):
    """A model, and the weights it starts from.

    Attributes:
        model: The model, on the CPU.
        pretrained: ``model.pretrained``, with 'auto' replaced by what could be had.
    """

    model: nn.Module
    pretrained: bool | str


class Outcome(NamedTuple):
    """What a training, or a test alone, gives.

    Attributes:
        targets: Results by target, then by checkpoint, 'last' and 'selected'; without held-out
            identities these are the same.
        epochs: Epochs that were trained.
        selected_epoch: Epoch of the best validated checkpoint, None without validation.
        seconds: Seconds spent on training and testing.
        training_seconds: Seconds of training alone.
        inference: The extraction of features in the last test.
        failed: Why targets could not be tested, by target; they are not among the targets.
    """

    targets: dict[str, dict[str, TargetResult]]
    epochs: int
    selected_epoch: int | None
    seconds: float
    training_seconds: float
    inference: Inference
    failed: Mapping[str, Exception]


class Backend(ABC):
    """Builds and runs the parts of a configuration: data manager, model, criterion, engine.

    Args:
        config: The configuration.

    Attributes:
        can_resume: Whether an interrupted run can be continued.
        one_process: Whether it trains in one process only.
    """

    can_resume: ClassVar[bool] = True
    one_process: ClassVar[bool] = False

    def __init__(self, config: CfgNode) -> None:
        self.config = config

    @property
    def tests_only(self) -> bool:
        """Whether the run tests and does not train, so that it needs nothing of training."""
        return bool(self.config.test.evaluate)

    @property
    def learns_metric(self) -> bool:
        """Whether the test fits its distance to the training tracklets."""
        return self.config.test.dist_metric in METRIC_LEARNERS

    @abstractmethod
    def check_parts(self) -> None:
        """Finds mistakes in the names and options of the parts before any data is loaded.

        A run that only tests needs no criterion, so that none is checked.

        Raises:
            KeyError: For an unknown model, criterion or option.
            ValueError: If parts do not fit together.
        """

    @abstractmethod
    def build_datamanager(self) -> Any:
        """Builds the data manager."""

    @abstractmethod
    def new_model(self, num_classes: int, pretrained: bool | str) -> nn.Module:
        """Builds the model without weights of a checkpoint.

        Args:
            num_classes: Number of training identities.
            pretrained: Whether it starts from ImageNet weights, or from which.

        Raises:
            WeightsUnavailable: If the weights cannot be had.
        """

    def origin_of(self, built: BuiltModel) -> Origin | None:
        """Returns where the initial weights of a model come from, None if they were drawn.

        Args:
            built: From `build_model`.
        """
        return getattr(built.model, "origin", None)

    @abstractmethod
    def new_engine(
        self,
        datamanager: Any,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        metadata: dict[str, Any],
    ) -> Any:
        """Builds the engine around its parts.

        Args:
            datamanager: From `build_datamanager`.
            model: The model, on its device.
            optimizer: Its optimiser.
            scheduler: Its scheduler.
            metadata: Plain values that every checkpoint carries.
        """

    @abstractmethod
    def verify(self, datamanager: Any) -> None:
        """Decodes every image once, where that is configured or necessary.

        Args:
            datamanager: From `build_datamanager`.

        Raises:
            ValueError: If images cannot be read.
        """

    @abstractmethod
    def model_input(self, clips: Tensor) -> Tensor:
        """Returns clips in the form the model reads.

        Args:
            clips: `(B, T, 3, H, W)`.
        """

    @abstractmethod
    def lay_out(self, model: nn.Module) -> None:
        """Lays out the weights of a model in memory as the engine does.

        Args:
            model: The model.
        """

    @abstractmethod
    def run(self, engine: Any, save_dir: Path) -> Outcome:
        """Trains and tests.

        Args:
            engine: From `build_engine`.
            save_dir: Folder of the run.
        """

    def build_model(self, num_classes: int, pretrained: bool | str | None = None) -> BuiltModel:
        """Builds the configured model with its weights.

        Args:
            num_classes: Number of training identities.
            pretrained: Takes the place of ``model.pretrained``.

        Raises:
            WeightsUnavailable: If ``model.pretrained`` is True and the weights cannot be had.
        """
        own = self.config.model
        built = self._with_weights(
            num_classes, own.pretrained if pretrained is None else pretrained
        )
        if own.start_from:
            if own.start_parts:
                taken = load_parts(built.model, own.start_from, own.start_parts)
            else:
                taken = load_matching_weights(built.model, own.start_from)
            logger.info("Weights of %s: %s.", own.start_from, taken)
        if own.load_weights:
            logger.info(
                "Weights of %s: %s.", own.load_weights, load_weights(built.model, own.load_weights)
            )
        return built

    def build_engine(self, datamanager: Any, model: nn.Module, metadata: dict[str, Any]) -> Any:
        """Builds the engine with optimiser, scheduler and criterion around a model.

        Args:
            datamanager: From `build_datamanager`.
            model: From `build_model`; it is moved to the GPU if one is used.
            metadata: Plain values that every checkpoint carries.
        """
        if use_gpu(self.config):
            model = model.cuda()
            if process_count() > 1:  # statistics of the whole batch; parameters stay the same
                model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        optimizer = build_optimizer(self.config, model)
        scheduler = build_scheduler(self.config, optimizer)
        return self.new_engine(datamanager, model, optimizer, scheduler, metadata)

    def _with_weights(self, num_classes: int, pretrained: bool | str) -> BuiltModel:
        """Builds with the weights asked for; 'auto' warns and goes on without ImageNet's."""
        if pretrained != "auto":
            return BuiltModel(self.new_model(num_classes, pretrained), pretrained)
        random_state = torch.get_rng_state()
        try:
            return BuiltModel(self.new_model(num_classes, True), True)
        except (WeightsUnavailable, OSError) as error:
            logger.warning(
                "NO IMAGENET WEIGHTS: %s\nTraining starts from scratch, and results.json says so. "
                "Numbers will be far below those of a pretrained run.",
                error,
            )
        torch.set_rng_state(random_state)
        return BuiltModel(self.new_model(num_classes, False), False)

    def _data_arguments(self) -> dict[str, Any]:
        """The arguments that the data managers of all backends share."""
        data, sampler = self.config.data, self.config.sampler
        return {
            "root": data.root,
            "sources": list(data.sources),
            "targets": list(data.targets or data.sources),
            "height": data.height,
            "width": data.width,
            "transforms": list(data.transforms),
            "norm_mean": list(data.norm_mean),
            "norm_std": list(data.norm_std),
            "use_gpu": self.config.use_gpu,
            "split_id": data.split_id,
            "combineall": data.combineall,
            "batch_size_train": self.config.train.batch_size,
            "batch_size_test": self.config.test.batch_size,
            "workers": data.workers,
            "train_sampler": sampler.train_sampler,
            "num_instances": sampler.num_instances,
            "num_cams": sampler.num_cams,
            "num_datasets": sampler.num_datasets,
            "seq_len": self.config.video.seq_len,
        }

    def _run_arguments(self, save_dir: Path) -> dict[str, Any]:
        """The arguments that ``run`` of all engines shares."""
        train, test = self.config.train, self.config.test
        return {
            "save_dir": str(save_dir),
            "max_epoch": train.max_epoch,
            "print_freq": train.print_freq,
            "fixbase_epoch": train.fixbase_epoch,
            "open_layers": list(train.open_layers),
            "start_eval": test.start_eval,
            "eval_freq": test.eval_freq,
            "test_only": test.evaluate,
            "dist_metric": test.dist_metric,
            "normalize_feature": test.normalize_feature,
            "ranks": list(test.ranks),
            "rerank": test.rerank,
        }


def use_gpu(config: CfgNode) -> bool:
    """Returns whether a run uses a GPU: it is asked for and there is one.

    Args:
        config: The configuration.
    """
    return bool(config.use_gpu) and torch.cuda.is_available()


def check_name(key: str, name: str, known: Iterable[str]) -> None:
    """Checks a name in a configuration.

    Args:
        key: Its key, for the error.
        name: The name.
        known: The names there are.

    Raises:
        KeyError: If it is none of them.
    """
    if name not in known:
        raise KeyError(f"{key} is {name!r}, but must be one of {sorted(known)}.")


def results_by_target(
    by_checkpoint: dict[str, dict[str, TargetResult]],
) -> dict[str, dict[str, TargetResult]]:
    """Returns results by target, then by checkpoint; a missing 'selected' is the 'last'.

    Args:
        by_checkpoint: Results by checkpoint, then by target.
    """
    last = by_checkpoint["last"]
    checkpoints = {"last": last, "selected": by_checkpoint.get("selected", last)}
    return {
        name: {checkpoint: results[name] for checkpoint, results in checkpoints.items()}
        for name in last
        if all(name in results for results in checkpoints.values())
    }
