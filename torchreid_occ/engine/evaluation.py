"""The test protocol all engines share: torchreid's, with every target's results kept."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from torchreid_occ._torchreid import torchreid
from torchreid_occ.metrics import evaluate_rank, rank_queries, re_rank
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress


class Features(NamedTuple):
    """Features of a query or gallery set with the labels ranking needs."""

    features: torch.Tensor  # (N, D)
    pids: np.ndarray  # (N,)
    camids: np.ndarray  # (N,)


class EvaluationMixin:
    """Keeps what every target gave in ``self.results``; goes before a torchreid engine.

    That is mAP and CMC, and the average precision of each query, None for one without a match.
    torchreid's ``test`` returns the last target's rank-1 only and drops the rest.
    """

    def test(self, *args, **kwargs):
        """Runs torchreid's test; ``self.results`` has what it drops."""
        self.results = {}
        return super().test(*args, **kwargs)

    @torch.no_grad()
    def _evaluate(
        self,
        dataset_name="",
        query_loader=None,
        gallery_loader=None,
        dist_metric="euclidean",
        normalize_feature=False,
        visrank=False,
        visrank_topk=10,
        save_dir="",
        use_metric_cuhk03=False,
        ranks=(1, 5, 10, 20),
        rerank=False,
    ):
        query = self.extract(query_loader, f"{dataset_name} query")
        gallery = self.extract(gallery_loader, f"{dataset_name} gallery")
        distmat = distance_matrix(query, gallery, dist_metric, normalize_feature, rerank)
        labels = query.pids, gallery.pids, query.camids, gallery.camids
        self.look_at_distances(dataset_name, distmat, labels)
        precisions = [None] * len(query.pids)
        if use_metric_cuhk03:  # draws galleries at random: no query has one average precision
            cmc, mAP = evaluate_rank(distmat, *labels, use_metric_cuhk03=True)  # noqa: N806
        else:
            ranked = rank_queries(distmat, *labels)
            cmc, mAP = ranked.mean()  # noqa: N806  the field writes mAP
            for index, precision in zip(ranked.index, ranked.average_precision, strict=True):
                precisions[index] = round(float(precision), 6)
        # A curve that ends early stays at its last value.
        curve = {int(rank): float(cmc[min(rank, len(cmc)) - 1]) for rank in ranks}
        self.results[dataset_name] = {
            "mAP": float(mAP),
            "cmc": curve,
            "average_precisions": precisions,
        }
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

    def look_at_distances(self, dataset_name, distmat, labels):
        """Called with the distances a target is ranked by, and pids and camids in their order."""

    def extract(self, loader, description):
        """Features of all tracklets of a loader that gives one item a tracklet.

        Args:
            loader: Yields torchreid's batches.
            description: What is extracted, for the progress bar.

        Returns:
            :class:`Features` in the loader's order.
        """
        features, pids, camids = [], [], []
        for batch in progress(loader, description, unit="batch"):
            clips, batch_pids, batch_camids = self.parse_data_for_eval(batch)
            if self.use_gpu:
                clips = clips.cuda()
            features.append(self.extract_features(clips).cpu())
            pids.append(batch_pids.numpy())
            camids.append(batch_camids.numpy())
        return Features(torch.cat(features), np.concatenate(pids), np.concatenate(camids))


def distance_matrix(query, gallery, dist_metric, normalize_feature=False, rerank=False):
    """Distances of queries to gallery items, as torchreid computes them.

    Args:
        query: :class:`Features` of the queries.
        gallery: :class:`Features` of the gallery.
        dist_metric: 'cosine', 'euclidean' (squared), or a fitted estimator with ``distances``.
        normalize_feature: Scale features to unit length first.
        rerank: Re-rank by k-reciprocal neighbours (Zhong et al., CVPR 2017).

    Shape:
        Result: (Q, G) array.

    Raises:
        ValueError: If a feature is not finite.
    """
    sets = [query.features, gallery.features]
    if not all(torch.isfinite(features).all() for features in sets):
        raise ValueError("Some features are not finite: the model's weights have diverged.")
    if normalize_feature:
        sets = [F.normalize(features, dim=1) for features in sets]

    def between(some, others):
        if not isinstance(dist_metric, str):
            return dist_metric.distances(some.numpy(), others.numpy()).astype(np.float32)
        return torchreid.metrics.compute_distance_matrix(some, others, dist_metric).numpy()

    if rerank:
        items = torch.cat(sets)
        return re_rank(lambda rows: between(items[rows], items), len(sets[0]), len(items))
    return between(*sets)
