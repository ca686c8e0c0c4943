"""Engine 'clip': our data manager, models, criteria and resumable engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from yacs.config import CfgNode

from torchreid_occ.config import check_options, plain
from torchreid_occ.data.manager import ClipDataManager, ClipOptions
from torchreid_occ.engine.acceleration import check_backend
from torchreid_occ.engine.backend import (
    Backend,
    Outcome,
    check_name,
    results_by_target,
    use_gpu,
)
from torchreid_occ.engine.base import KEPT
from torchreid_occ.engine.clip import ClipEngine
from torchreid_occ.losses import CRITERIA, build_criterion
from torchreid_occ.metrics import METRIC_LEARNERS
from torchreid_occ.models import MODELS, ClipModel, build_model
from torchreid_occ.occlusion.augmentation import occluder_maker
from torchreid_occ.utils.checkpoint import checkpoint_path
from torchreid_occ.utils.layout import lay_out_channels_last
from torchreid_occ.utils.logs import printed_lines_logged
from torchreid_occ.utils.processes import process_count


class ClipBackend(Backend):
    """Clips in a `ClipDataManager`, a `ClipModel`, one of our criteria, and a `ClipEngine`.

    Args:
        config: The configuration.
        engine: Builds the engine, from the arguments of `ClipEngine`.
    """

    def __init__(self, config: CfgNode, engine: Callable[..., ClipEngine] = ClipEngine) -> None:
        super().__init__(config)
        self._engine = engine

    def check_parts(self) -> None:
        """Finds mistakes in the names and options of the parts before any data is loaded.

        Raises:
            KeyError: For an unknown model, criterion or option.
            ValueError: If the criterion reads supervision that ``data.supervision`` does not load.
        """
        model, loss = self.config.model, self.config.loss
        check_name("model.name", model.name, MODELS)
        check_model_options(model)
        test = self.config.test
        check_backend(test.backend, test.precision, use_gpu(self.config), test.compile)
        if self.tests_only:
            return
        check_occluders(self.config.data)
        check_name("loss.name", loss.name, CRITERIA)
        check_options("loss.options", loss.options, CRITERIA[loss.name], ("num_classes",))
        check_metric(self.config.test)
        read = build_criterion(loss.name, 1, **plain(loss.options)).supervision
        loaded = self.config.data.supervision
        missing = set(read) - set(loaded)
        if missing:
            raise ValueError(
                f"loss {loss.name!r} reads {sorted(read)}, but data.supervision is "
                f"{list(loaded)}: add {sorted(missing)}, or set the weights of these "
                "terms to 0 in loss.options."
            )

    def build_datamanager(self) -> ClipDataManager:
        """Builds the data manager."""
        config = self.config
        held_out = config.test.val_identities or None if config.test.select == "val" else 0
        with printed_lines_logged():
            return ClipDataManager(
                **self._data_arguments(),
                options=ClipOptions(
                    train_sampling=config.video.train_sampling,
                    stride=config.video.stride,
                    test_clip_len=config.video.test_clip_len,
                    seed=config.train.seed,
                    supervision=config.data.supervision,
                    keypoints=config.data.keypoints,
                    foreground=config.data.foreground,
                    dataset_options=plain(config.data.options),
                    interpolation=config.data.interpolation,
                    across_cameras=config.sampler.across_cameras,
                    min_frames=config.sampler.min_frames,
                    train_cut=config.video.train_cut,
                    val_identities=held_out,
                    purpose=self._purpose(),
                    occluders=occluder_maker(
                        **plain(config.data.occluders),
                        masks_folder=str(Path(config.data.foreground).parent)
                        if config.data.foreground
                        else "",
                    ),
                ),
            )

    def _purpose(self) -> str:
        if not self.tests_only:
            return "train"
        reads_training = self.learns_metric or self.config.test.precision == "int8"
        return "test with training tracklets" if reads_training else "test"

    def new_model(self, num_classes: int, pretrained: bool | str) -> ClipModel:
        """Builds the model without weights of a checkpoint."""
        return new_clip_model(self.config, num_classes, pretrained)

    def new_engine(
        self,
        datamanager: ClipDataManager,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        metadata: dict[str, Any],
    ) -> ClipEngine:
        """Builds the engine with its criterion around its parts."""
        config, loss = self.config, self.config.loss
        criterion = None
        if not self.tests_only:
            num_pids = datamanager.num_train_pids
            criterion = build_criterion(loss.name, num_pids, **plain(loss.options))
            criterion = criterion.cuda() if use_gpu(config) else criterion
        return self._engine(
            datamanager,
            model,
            optimizer,
            criterion,
            scheduler,
            seed=config.train.seed,
            use_gpu=config.use_gpu,
            dist_metric=config.test.dist_metric,
            flip=config.test.flip,
            clip_grad=config.train.clip_grad,
            clip_grad_by=config.train.clip_grad_by,
            metadata=metadata,
            metric_options=plain(config.test.metric_options),
            precision=config.train.precision,
            test_precision=config.test.precision,
            compile_test=config.test.compile,
            test_backend=config.test.backend,
            stages_folder=self._checkpoint_folder(),
        )

    def _checkpoint_folder(self) -> Path:
        """Returns the folder of the checkpoint that is tested."""
        tested = self.config.model.load_weights if self.tests_only else ""
        return (
            Path(tested).parent if tested else checkpoint_path(self.config.data.save_dir, 0).parent
        )

    def verify(self, datamanager: ClipDataManager) -> None:
        """Decodes every image and foreground map once if ``data.verify`` says so."""
        if self.config.data.verify:
            datamanager.verify(self.config.data.workers)

    def model_input(self, clips: Tensor) -> Tensor:
        """Returns the clips as they are."""
        return clips

    def lay_out(self, model: nn.Module) -> None:
        """Lays out weights channels last."""
        lay_out_channels_last(model)

    def run(self, engine: ClipEngine, save_dir: Path) -> Outcome:
        """Trains from the latest checkpoint in the folder on, and tests."""
        train = self.config.train
        engine.keeps_going = process_count() == 1  # other ranks would wait for the one that failed
        with printed_lines_logged():
            by_checkpoint = engine.run(
                **self._run_arguments(save_dir),
                max_iter=train.max_iter,
                checkpoint_freq=train.checkpoint_freq,
                keep_last=KEPT,
            )
        return Outcome(
            targets=results_by_target(by_checkpoint),
            epochs=engine.epoch + 1 if train.max_iter else train.max_epoch,
            selected_epoch=engine.best["epoch"] or None,
            seconds=engine.seconds,
            training_seconds=engine.training_seconds,
            inference=engine.inference,
            failed=engine.failed,
        )


def check_model_options(model: CfgNode) -> None:
    """Checks ``model.options`` against the builder of a clip model.

    Args:
        model: The section ``model`` of a configuration that names one of `MODELS`.

    Raises:
        KeyError: If the builder has no such option.
    """
    set_elsewhere = ("num_classes", "pretrained", "height", "width")
    check_options("model.options", model.options, MODELS[model.name], set_elsewhere)


def new_clip_model(config: CfgNode, num_classes: int, pretrained: bool | str = False) -> ClipModel:
    """Builds the clip model that a configuration names.

    Args:
        config: The configuration.
        num_classes: Number of training identities.
        pretrained: Whether it starts from ImageNet weights, or from which checkpoint.

    Raises:
        WeightsUnavailable: If the weights cannot be had.
    """
    return build_model(
        config.model.name,
        num_classes,
        pretrained=pretrained,
        height=config.data.height,
        width=config.data.width,
        **plain(config.model.options),
    )


def check_occluders(data: CfgNode) -> None:
    """Checks ``data.occluders`` against the augmentation that they are for.

    Args:
        data: The part ``data`` of a configuration.

    Raises:
        KeyError: If there is no such option.
        ValueError: If nothing reads them.
    """
    check_options("data.occluders", data.occluders, occluder_maker, ("masks_folder",))
    if data.occluders and "random_occluders" not in data.transforms:
        raise ValueError(
            f"data.occluders has {sorted(data.occluders)}, but data.transforms "
            f"{list(data.transforms)} does not have random_occluders, which reads them."
        )


def check_metric(test: CfgNode) -> None:
    """Checks ``test.metric_options`` against the learned metric they are for.

    Args:
        test: The part ``test`` of a configuration.

    Raises:
        KeyError: If there is no such option.
        ValueError: If no metric is learned.
    """
    if test.dist_metric in METRIC_LEARNERS:
        check_options("test.metric_options", test.metric_options, METRIC_LEARNERS[test.dist_metric])
    elif test.metric_options:
        raise ValueError(
            f"test.metric_options has {sorted(test.metric_options)}, but test.dist_metric "
            f"{test.dist_metric!r} is not learned: it is for {sorted(METRIC_LEARNERS)}."
        )
