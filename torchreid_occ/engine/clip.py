"""The engine of clip models: trains any of them with any criterion and tests whole tracklets."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from torchreid_occ._types import Batch, Item
from torchreid_occ.data.manager import ClipDataManager
from torchreid_occ.engine.acceleration import (
    CalibrationTracklets,
    check_backend,
    stage_runners,
    supported_precision,
)
from torchreid_occ.engine.base import CheckpointedEngine
from torchreid_occ.engine.evaluation import (
    EvaluationMixin,
    Features,
    LearnedMetric,
    distance_matrix,
)
from torchreid_occ.engine.extraction import TrackletFeatures
from torchreid_occ.engine.precision import full_precision
from torchreid_occ.engine.stage_runners import stages_of, stages_run_by
from torchreid_occ.metrics import METRIC_LEARNERS, evaluate_rank
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.nested import map_tensors
from torchreid_occ.utils.processes import (
    gather_objects,
    gather_rows,
    process_count,
    process_rank,
)

CLIPPING: dict[str, Callable[..., Any]] = {
    "value": nn.utils.clip_grad_value_,
    "norm": nn.utils.clip_grad_norm_,
}


class ClipEngine(EvaluationMixin, CheckpointedEngine):
    """Trains a clip model with a criterion; tests on all frames of each tracklet.

    A tracklet is tested in consecutive clips, and its feature is the mean of its clips' features
    weighted by their numbers of frames.

    Args:
        datamanager: The data.
        model: A clip model.
        optimizer: Its optimiser.
        criterion: Maps (outputs, batch) to a dict of losses; ``loss`` is minimised.
        scheduler: Its scheduler.
        seed: Seed of the run.
        use_gpu: Use a GPU if there is one.
        dist_metric: Distance that selects the best checkpoint; Euclidean instead of a learned one.
        flip: Average the features of the frames and of their mirror images at test.
        clip_grad: Where not 0, the largest gradient: each lies in [-clip_grad, clip_grad], or the
            norm of all is at most clip_grad.
        clip_grad_by: 'value' or 'norm'.
        metadata: Plain values that every checkpoint carries.
        metric_options: Arguments of a learned metric.
        precision: What the model trains in, one of ``PRECISIONS``.
        test_precision: What the model is tested in, one of ``PRECISIONS`` or, with 'openvino',
            'int8'.
        compile_test: Test a compiled form of the model, the first batches of which take minutes.
        test_backend: What computes the image network in ``test``: 'torch' or 'openvino'.
            Validation during the training is always in PyTorch.
        stages_folder: Where stages in int8 are kept; nowhere if None.

    Raises:
        ImportError: If the packages of the backend are not installed.
        ValueError: If a model that carries its state from clip to clip is to be compiled, or the
            backend can't compute what is asked for.
    """

    def __init__(
        self,
        datamanager: ClipDataManager,
        model: nn.Module,
        optimizer: Optimizer | None,
        criterion: nn.Module | None,
        scheduler: LRScheduler | None = None,
        seed: int = 1,
        use_gpu: bool = True,
        dist_metric: str = "cosine",
        flip: bool = False,
        clip_grad: float = 0.0,
        clip_grad_by: str = "value",
        metadata: Mapping[str, Any] | None = None,
        metric_options: Mapping[str, Any] | None = None,
        precision: str = "float32",
        test_precision: str = "float32",
        compile_test: bool = False,
        test_backend: str = "torch",
        stages_folder: Path | None = None,
    ) -> None:
        super().__init__(datamanager, seed, use_gpu, metadata, precision)
        check_backend(test_backend, test_precision, self.use_gpu, compile_test)
        self.test_backend, self.test_precision = test_backend, test_precision
        self._stages_folder = stages_folder
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.network = model  # with several processes: the model that shares its gradients
        self.criterion = criterion
        in_torch = test_precision if test_backend == "torch" else "float32"
        self.features_of = TrackletFeatures(model, self.use_gpu, flip, in_torch, compile_test)
        self.dist_metric, self.metric_options = dist_metric, metric_options or {}
        self.clip_grad, self.clip_grad_by = clip_grad, clip_grad_by
        self.register_model("model", model, optimizer, scheduler)

    def forward_backward(self, batch: Batch) -> dict[str, float]:
        """Takes one training step and returns its losses.

        Args:
            batch: A batch of ``train_loader``.
        """
        assert self.optimizer is not None and self.criterion is not None  # only tests do without
        if self.use_gpu:
            batch = {
                name: value.cuda(non_blocking=True) if torch.is_tensor(value) else value
                for name, value in batch.items()
            }
        with self.precision.autocast():
            outputs = self.network(batch["img"])
        outputs = map_tensors(gather_rows, full_precision(outputs))
        labels = {name: value for name, value in batch.items() if name != "img"}
        losses = self.criterion(outputs, map_tensors(gather_rows, labels))
        numbers = {name: value.item() for name, value in losses.items()}
        self.check_finite(numbers)
        self.precision.minimise(losses["loss"], self.optimizer, self._clip)
        return numbers

    def prepare_epoch(self) -> None:
        """Lets several processes share gradients, anew as the epoch may open other layers."""
        if process_count() > 1:
            device = [torch.cuda.current_device()] if self.use_gpu else None
            self.network = DistributedDataParallel(
                self.model, device_ids=device, find_unused_parameters=True
            )

    def _clip(self) -> None:
        if self.clip_grad:
            CLIPPING[self.clip_grad_by](self.model.parameters(), self.clip_grad)

    @torch.no_grad()
    def test(
        self,
        dist_metric: str | LearnedMetric = "cosine",
        *,
        keep_distances: bool = False,
        **options: Any,
    ) -> float:
        """Tests; a learned metric is fitted to the features of the training tracklets.

        Args:
            dist_metric: 'cosine', 'euclidean', one of ``METRIC_LEARNERS``, or a fitted metric.
            keep_distances: Also fill ``distances``.
            **options: Further arguments of torchreid's ``Engine.test``.

        Returns:
            Rank-1 of the last target; ``results`` has the rest.
        """
        self.set_model_mode("eval")
        with self.image_network() as computed:
            if isinstance(dist_metric, str) and dist_metric in METRIC_LEARNERS:
                loader = self.datamanager.loader_of(self.datamanager.train_dataset)
                known = self.extract(loader, "training features")
                learner = METRIC_LEARNERS[dist_metric](**self.metric_options)
                dist_metric = learner.fit(known.features.numpy(), known.pids, known.camids)
            rank1 = super().test(dist_metric, keep_distances=keep_distances, **options)
        self.inference = self.inference._replace(**computed)
        return rank1

    @contextlib.contextmanager
    def image_network(self) -> Iterator[dict[str, Any]]:
        """Lets the backend compute the image network, and yields how, as `Inference` names it."""
        if self.test_backend == "torch":
            yield {"precision": self.test_precision}
            return
        data = self.datamanager
        precision = supported_precision(self.test_precision)
        runners = stage_runners(
            self.model,
            precision,
            (data.height, data.width),
            self._stages_folder,
            lambda: CalibrationTracklets(
                [paths for paths, *_ in data.train_dataset], data.transform_te
            ),
        )
        stages = {name: runner.precision for name, runner in runners.items()}
        with stages_run_by(stages_of(self.model), runners):
            yield {"backend": self.test_backend, "precision": precision, "stages": stages}

    def extract(self, loader: DataLoader[Any], description: str) -> Features:
        """Extracts the features of tracklets, in their order.

        Args:
            loader: Yields their clips in any order, with ``tracklet`` and ``num_frames``.
            description: What is extracted, for the progress bar.
        """
        tracklets = _tracklets(loader)
        self.extracted_frames += sum(len(paths) for paths, *_ in tracklets)
        parts = gather_objects(self.features_of(self._own_share(loader), description))
        features = torch.empty(len(tracklets), parts[0].shape[1])
        for rank, part in enumerate(parts[: len(tracklets)]):
            features[rank :: len(parts)] = part
        return _labelled(features, tracklets)

    def _own_share(self, loader: DataLoader[Any]) -> DataLoader[Any]:
        """Returns a loader of the tracklets that this rank reads."""
        if process_count() == 1:
            return loader
        tracklets = _tracklets(loader)
        share = tracklets[process_rank() :: process_count()]
        # A rank without tracklets extracts a dummy, so that all ranks join the gather.
        own: DataLoader[Any] = self.datamanager.loader_of(share or tracklets[:1])
        return own

    @torch.no_grad()
    def validate(self) -> float | None:
        """Returns the mAP on the held-out training identities, or None if none are held out."""
        loader = self.datamanager.val_loader
        if loader is None:
            return None
        self.set_model_mode("eval")
        held_out = self.extract(loader, "validation")
        # Query and gallery are the same tracklets; evaluation skips those of a query's own camera.
        metric = "euclidean" if self.dist_metric in METRIC_LEARNERS else self.dist_metric
        distmat = distance_matrix(held_out, held_out, metric)
        labels = (held_out.pids, held_out.pids, held_out.camids, held_out.camids)
        _, mAP = evaluate_rank(distmat, *labels)  # noqa: N806  the field writes mAP
        logger.info("validation mAP %.1f%% after epoch %d", 100 * mAP, self.epoch + 1)
        return float(mAP)


def _tracklets(loader: DataLoader[Any]) -> Sequence[Item]:
    dataset: Any = loader.dataset
    tracklets: Sequence[Item] = dataset.tracklets
    return tracklets


def _labelled(features: Tensor, tracklets: Sequence[Item]) -> Features:
    return Features(
        features,
        np.array([pid for _, pid, _, _ in tracklets]),
        np.array([camid for _, _, camid, _ in tracklets]),
    )
