"""The engine of clip models: trains any of them with any criterion and tests whole tracklets."""

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from torchreid_occ.data.samplers import in_order
from torchreid_occ.engine.checkpointed import CheckpointedEngine
from torchreid_occ.engine.evaluation import EvaluationMixin, Features, distance_matrix
from torchreid_occ.engine.precision import Precision, full_precision
from torchreid_occ.metrics import METRIC_LEARNERS, evaluate_rank
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.nested import map_tensors
from torchreid_occ.utils.processes import (
    gather_objects,
    gather_rows,
    process_count,
    process_rank,
)
from torchreid_occ.utils.progress import progress

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
        if compile_test and model.carries:
            raise ValueError(
                f"test.compile is True, but {type(model).__name__} carries its state from clip to "
                "clip: leave it False."
            )
        self.compiled = torch.compile(model, dynamic=True) if compile_test else None
        self.criterion = criterion
        self.dist_metric, self.flip = dist_metric, flip
        self.test_precision = Precision(test_precision, self.precision.device)
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

    def extract_features(self, clips):
        """Features of a batch of clips of equal length: (B, T, 3, H, W) to (B, D)."""
        model = self.model if self.compiled is None else self.compiled
        features = model(clips)
        if self.flip:
            features = (features + model(clips.flip(-1))) / 2
        return features

    def extract(self, loader, description):
        """Features of all tracklets of a loader that gives their clips in any order.

        Args:
            loader: Yields batches of clips with ``tracklet`` and ``num_frames`` beside.
            description: What is extracted, for the progress bar.

        Returns:
            :class:`Features` in the order of the tracklets.
        """
        tracklets = loader.dataset.tracklets
        if process_count() > 1:  # each takes its share, or, left without one, what nobody needs
            share = tracklets[process_rank() :: process_count()] or tracklets[:1]
            loader = self.datamanager.loader_of(share)
        extract = self._extract_in_order if self.model.carries else self._extract_in_any_order
        parts = gather_objects(extract(loader, description))
        features = torch.empty(len(tracklets), parts[0].shape[1])
        for rank, part in enumerate(parts[: len(tracklets)]):
            features[rank :: len(parts)] = part
        return _labelled(features, tracklets)

    def _extract_in_any_order(self, loader, description):
        """Features by a model that takes each clip by itself."""
        # Summed as they come: parts that are kept would scatter over the heap, which grows by it.
        summed, frames = None, torch.zeros(len(loader.dataset.tracklets), 1)
        for batch in progress(loader, description, unit="batch"):
            clips = batch["img"].cuda() if self.use_gpu else batch["img"]
            with self.test_precision.autocast():
                features = self.extract_features(clips).float().cpu()
            if summed is None:
                summed = torch.zeros(len(frames), features.shape[1])
            weights = batch["num_frames"][:, None].float()
            summed.index_add_(0, batch["tracklet"], features * weights)
            frames.index_add_(0, batch["tracklet"], weights)
        return summed / frames

    def _extract_in_order(self, loader, description):
        """Features by a model that carries its state from clip to clip of a tracklet."""
        features = torch.zeros(len(loader.dataset.tracklets), self.model.feature_dim)
        current, states = None, None

        def finish():
            found = [self.model.finish(state) for state in states]
            features[current] = torch.stack(found).mean(0).float().cpu()

        for batch in progress(in_order(loader), description, unit="batch"):
            if current is None or not torch.equal(batch["tracklet"], current):
                if current is not None:
                    finish()
                current, states = batch["tracklet"], [None] * (1 + self.flip)
            clips = batch["img"].cuda() if self.use_gpu else batch["img"]
            views = [clips, clips.flip(-1)][: len(states)]
            with self.test_precision.autocast():
                states = list(map(self.model.extend, states, views))
        finish()
        return features

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
