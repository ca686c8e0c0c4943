"""The engine of clip models: trains any of them with any criterion and tests whole tracklets."""

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from torchreid_occ.engine.base import CheckpointedEngine
from torchreid_occ.engine.evaluation import EvaluationMixin, Features, distance_matrix
from torchreid_occ.engine.extraction import TrackletFeatures
from torchreid_occ.engine.precision import full_precision
from torchreid_occ.metrics import METRIC_LEARNERS, evaluate_rank
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.nested import map_tensors
from torchreid_occ.utils.processes import (
    gather_objects,
    gather_rows,
    process_count,
    process_rank,
)

CLIPPING = {"value": nn.utils.clip_grad_value_, "norm": nn.utils.clip_grad_norm_}


class ClipEngine(EvaluationMixin, CheckpointedEngine):
    """Trains a clip model with a criterion; tests on all frames of each tracklet.

    A tracklet is tested in consecutive clips, and its feature is the mean of its clips' features
    weighted by their numbers of frames.

    Args:
        datamanager: A ``ClipDataManager``.
        model: Gives a NamedTuple in train mode and features in eval mode.
        optimizer: Its optimiser.
        criterion: Maps (outputs, batch) to a dict of losses; ``loss`` is minimised.
        scheduler: Stepped once an epoch.
        seed: Seed of the run.
        use_gpu: Use a GPU if there is one.
        dist_metric: Distance that chooses the best checkpoint; a learned one leaves that to the
            Euclidean distance.
        flip: Average the features of the frames and of their mirror images at test.
        clip_grad: Where not 0, the largest gradient: each lies in [-clip_grad, clip_grad], or the
            norm of all is at most that.
        clip_grad_by: 'value' or 'norm'.
        metadata: Plain values every checkpoint carries.
        precision: What the model trains in, one of ``PRECISIONS``.
        test_precision: What it is tested in, likewise.
        compile_test: Test a compiled form of the model, the first batches of which take minutes.

    Raises:
        ValueError: If a model that carries its state from clip to clip is to be compiled.
    """

    def __init__(
        self,
        datamanager,
        model,
        optimizer,
        criterion,
        scheduler=None,
        seed=1,
        use_gpu=True,
        dist_metric="cosine",
        flip=False,
        clip_grad=0.0,
        clip_grad_by="value",
        metadata=None,
        precision="float32",
        test_precision="float32",
        compile_test=False,
    ):
        super().__init__(datamanager, seed, use_gpu, metadata, precision)
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.network = model  # what trains: the model, or what shares its gradients
        self.criterion = criterion
        self.features_of = TrackletFeatures(model, self.use_gpu, flip, test_precision, compile_test)
        self.dist_metric = dist_metric
        self.clip_grad, self.clip_grad_by = clip_grad, clip_grad_by
        self.register_model("model", model, optimizer, scheduler)

    def forward_backward(self, batch):
        """One step on a batch; returns its losses as numbers."""
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

    def prepare_epoch(self):
        """Several processes share gradients anew each epoch, as it may open other layers."""
        if process_count() > 1:
            device = [torch.cuda.current_device()] if self.use_gpu else None
            self.network = DistributedDataParallel(
                self.model, device_ids=device, find_unused_parameters=True
            )

    def _clip(self):
        if self.clip_grad:
            CLIPPING[self.clip_grad_by](self.model.parameters(), self.clip_grad)

    @torch.no_grad()
    def test(self, dist_metric="cosine", **options):
        """Tests; a metric that is learned is fitted to the features of the training tracklets.

        Args:
            dist_metric: 'cosine', 'euclidean' or one of ``METRIC_LEARNERS``.
            **options: Further arguments of torchreid's ``Engine.test``.
        """
        if dist_metric in METRIC_LEARNERS:
            self.set_model_mode("eval")
            loader = self.datamanager.loader_of(self.datamanager.train_dataset)
            known = self.extract(loader, "training features")
            learner = METRIC_LEARNERS[dist_metric]()
            dist_metric = learner.fit(known.features.numpy(), known.pids, known.camids)
        return super().test(dist_metric=dist_metric, **options)

    def extract(self, loader, description):
        """Features of all tracklets of a loader that gives their clips in any order.

        Args:
            loader: Yields batches of clips with ``tracklet`` and ``num_frames`` beside.
            description: What is extracted, for the progress bar.

        Returns:
            :class:`Features` in the order of the tracklets.
        """
        tracklets = loader.dataset.tracklets
        parts = gather_objects(self.features_of(self._own_share(loader), description))
        features = torch.empty(len(tracklets), parts[0].shape[1])
        for rank, part in enumerate(parts[: len(tracklets)]):
            features[rank :: len(parts)] = part
        return _labelled(features, tracklets)

    def _own_share(self, loader):
        """A loader of the tracklets that this process reads, of those that work as one."""
        if process_count() == 1:
            return loader
        tracklets = loader.dataset.tracklets
        share = tracklets[process_rank() :: process_count()]
        # One that is left without any reads what nobody needs.
        return self.datamanager.loader_of(share or tracklets[:1])

    @torch.no_grad()
    def validate(self):
        """Gives the mAP on the held-out training identities, or None where none are held out."""
        loader = self.datamanager.val_loader
        if loader is None:
            return None
        self.set_model_mode("eval")
        held_out = self.extract(loader, "validation")
        # Query and gallery are the same tracklets: those of a query's own camera are left out.
        metric = "euclidean" if self.dist_metric in METRIC_LEARNERS else self.dist_metric
        distmat = distance_matrix(held_out, held_out, metric)
        labels = (held_out.pids, held_out.pids, held_out.camids, held_out.camids)
        _, mAP = evaluate_rank(distmat, *labels)  # noqa: N806  the field writes mAP
        logger.info("validation mAP %.1f%% after epoch %d", 100 * mAP, self.epoch + 1)
        return float(mAP)


def _labelled(features, tracklets):
    return Features(
        features,
        np.array([pid for _, pid, _, _ in tracklets]),
        np.array([camid for _, _, camid, _ in tracklets]),
    )
