"""The test protocol of all engines: torchreid's, with the results of every target kept."""

import math
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from torchreid_occ._torchreid import torchreid
from torchreid_occ.metrics import evaluate_rank, rank_queries, re_rank
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress


class Features(NamedTuple):
    """Features of a query or gallery set, with the labels that ranking needs.

    Attributes:
        features: `(N, D)`.
        pids: `(N,)`.
        camids: `(N,)`.
    """

    features: Tensor
    pids: npt.NDArray[np.int64]
    camids: npt.NDArray[np.int64]


class Distances(NamedTuple):
    """Distances of queries to the gallery, with labels; the arguments of `evaluate_rank`.

    Attributes:
        distmat: `(Q, G)`.
        q_pids: `(Q,)`.
        g_pids: `(G,)`.
        q_camids: `(Q,)`.
        g_camids: `(G,)`.
    """

    distmat: npt.NDArray[np.float32]
    q_pids: npt.NDArray[np.int64]
    g_pids: npt.NDArray[np.int64]
    q_camids: npt.NDArray[np.int64]
    g_camids: npt.NDArray[np.int64]


class TargetResult(TypedDict, total=False):
    """Results of a target.

    Attributes:
        mAP: Mean average precision.
        cmc: Share of the queries with a match at each rank or before.
        average_precisions: That of each query, None for a query without a match.
        mINP: Mean inverse negative penalty; missing under CUHK03's protocol.
    """

    mAP: float
    mINP: float
    cmc: dict[int, float]
    average_precisions: list[float | None]


class Inference(NamedTuple):
    """The extraction of features in a test, of all targets' queries and galleries.

    Attributes:
        frames: Number of frames.
        seconds: Seconds, reading the frames included.
        backend: What computed the image network.
        precision: What it was computed in.
        stages: Precision of each stage that the backend computed, by name: with int8 some may be
            left in float32. Empty for PyTorch.
    """

    frames: int
    seconds: float
    backend: str = "torch"
    precision: str = "float32"
    stages: Mapping[str, str] = MappingProxyType({})

    @property
    def frames_per_second(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds if self.seconds else 0.0


class LearnedMetric(Protocol):
    """A fitted distance."""

    def distances(
        self, query: npt.NDArray[np.float32], gallery: npt.NDArray[np.float32]
    ) -> npt.NDArray[Any]:
        """Returns the `(Q, G)` distances of `(Q, D)` to `(G, D)` features.

        Args:
            query: Features of the queries.
            gallery: Features of the gallery.
        """
        ...


class EvaluationMixin(torchreid.engine.Engine):
    """Keeps the results of every target; stands before a torchreid engine among the bases.

    torchreid's ``test`` returns the rank-1 of the last target and drops the rest.

    Attributes:
        results: Of the last test, by target.
        distances: Of the last test, by target, if they were to be kept.
        inference: Of the last test.
        extracted_frames: Number of frames whose features have been extracted so far.
        keeps_going: Whether a target that fails is noted in `failed`, and the others are tested.
        failed: The errors of all tests so far, by target.
    """

    results: dict[str, TargetResult]
    distances: dict[str, Distances]
    inference = Inference(0, 0.0)
    extracted_frames = 0
    keeps_going = False
    failed: Mapping[str, Exception] = MappingProxyType({})

    def test(
        self,
        dist_metric: str | LearnedMetric = "euclidean",
        *,
        keep_distances: bool = False,
        **options: Any,
    ) -> float:
        """Runs torchreid's test and fills `results`.

        Args:
            dist_metric: 'cosine', 'euclidean' (squared), or a fitted metric.
            keep_distances: Also fill `distances`.
            **options: Further arguments of torchreid's ``Engine.test``.

        Returns:
            Rank-1 of the last target.
        """
        self.results, self.distances = {}, {}
        self.inference = Inference(0, 0.0)
        self._keep_distances = keep_distances
        return super().test(dist_metric=dist_metric, **options)

    def _evaluate(self, dataset_name: str, *loaders: Any, **options: Any) -> tuple[float, float]:
        """Tests a target; torchreid's ``Engine.test`` calls this for each."""
        try:
            return self._test_target(dataset_name, *loaders, **options)
        except Exception as error:
            if not self.keeps_going:
                raise
            logger.error("%s could not be tested: %s", dataset_name, error)
            self.failed = {**self.failed, dataset_name: error}
            return math.nan, math.nan

    @torch.no_grad()
    def _test_target(
        self,
        dataset_name: str,
        query_loader: DataLoader[Any],
        gallery_loader: DataLoader[Any],
        dist_metric: str | LearnedMetric = "euclidean",
        normalize_feature: bool = False,
        visrank: bool = False,
        visrank_topk: int = 10,
        save_dir: str = "",
        use_metric_cuhk03: bool = False,
        ranks: Sequence[int] = (1, 5, 10, 20),
        rerank: bool = False,
    ) -> tuple[float, float]:
        start, before = time.perf_counter(), self.extracted_frames
        query = self.extract(query_loader, f"{dataset_name} query")
        gallery = self.extract(gallery_loader, f"{dataset_name} gallery")
        self.inference = Inference(
            self.inference.frames + self.extracted_frames - before,
            self.inference.seconds + time.perf_counter() - start,
        )
        distmat = distance_matrix(query, gallery, dist_metric, normalize_feature, rerank)
        ranking = Distances(distmat, query.pids, gallery.pids, query.camids, gallery.camids)
        if self._keep_distances:
            self.distances[dataset_name] = ranking
        precisions: list[float | None] = [None] * len(query.pids)
        ranked = None
        if use_metric_cuhk03:  # draws galleries at random: no query has one average precision
            cmc, mAP = evaluate_rank(*ranking, use_metric_cuhk03=True)  # noqa: N806
        else:
            ranked = rank_queries(*ranking)
            cmc, mAP = ranked.mean()  # noqa: N806  the field writes mAP
            for index, precision in zip(ranked.queries, ranked.average_precision, strict=True):
                precisions[index] = round(float(precision), 6)
        # A curve that ends early stays at its last value.
        curve = {int(rank): float(cmc[min(rank, len(cmc)) - 1]) for rank in ranks}
        result: TargetResult = {
            "mAP": float(mAP),
            "cmc": curve,
            "average_precisions": precisions,
        }
        if ranked is not None:
            result["mINP"] = ranked.mean_inverse_penalty()
        self.results[dataset_name] = result
        shown = "  ".join(f"rank-{rank} {value:.1%}" for rank, value in curve.items())
        logger.info("%s: mAP %.1f%%  %s", dataset_name, 100 * mAP, shown)
        if visrank:
            torchreid.utils.visualize_ranked_results(
                distmat,
                self.datamanager.fetch_test_loaders(dataset_name),
                self.datamanager.data_type,
                width=self.datamanager.width,
                height=self.datamanager.height,
                save_dir=f"{save_dir}/visrank_{dataset_name}",
                topk=visrank_topk,
            )
        return float(cmc[0]), float(mAP)

    def extract(self, loader: DataLoader[Any], description: str) -> Features:
        """Extracts the features of tracklets, in the order of the loader.

        Args:
            loader: Yields torchreid's batches, one item a tracklet.
            description: What is extracted, for the progress bar.
        """
        features, pids, camids = [], [], []
        for batch in progress(loader, description, unit="batch"):
            clips, batch_pids, batch_camids = self.parse_data_for_eval(batch)
            self.extracted_frames += clips.shape[:-3].numel()
            if self.use_gpu:
                clips = clips.cuda()
            features.append(self.extract_features(clips).cpu())
            pids.append(batch_pids.numpy())
            camids.append(batch_camids.numpy())
        return Features(torch.cat(features), np.concatenate(pids), np.concatenate(camids))


def distance_matrix(
    query: Features,
    gallery: Features,
    dist_metric: str | LearnedMetric,
    normalize_feature: bool = False,
    rerank: bool = False,
) -> npt.NDArray[np.float32]:
    """Computes the distances of queries to gallery items as torchreid does.

    Args:
        query: Features of the queries.
        gallery: Features of the gallery.
        dist_metric: 'cosine', 'euclidean' (squared), or a fitted metric.
        normalize_feature: Scale features to unit length first.
        rerank: Re-rank by k-reciprocal neighbours (Zhong et al., CVPR 2017).

    Shape:
        Result: (Q, G) array.

    Raises:
        ValueError: If a feature is not finite, or all are equal and to be re-ranked.
    """
    sets = [query.features, gallery.features]
    if not all(torch.isfinite(features).all() for features in sets):
        raise ValueError("Some features are not finite: the model's weights have diverged.")
    if normalize_feature:
        sets = [F.normalize(features, dim=1) for features in sets]

    def between(some: Tensor, others: Tensor) -> npt.NDArray[np.float32]:
        if not isinstance(dist_metric, str):
            return dist_metric.distances(some.numpy(), others.numpy()).astype(np.float32)
        return torchreid.metrics.compute_distance_matrix(some, others, dist_metric).numpy()

    if rerank:
        items = torch.cat(sets)
        return re_rank(lambda rows: between(items[rows], items), len(sets[0]), len(items))
    return between(*sets)
