"""Ranking with torchreid's numbers, open-set search, verification, calibration, learned metrics."""

from torchreid_occ.metrics.calibration_error import reliability
from torchreid_occ.metrics.kissme import KISSME
from torchreid_occ.metrics.open_set import dir_at_fpir, open_set
from torchreid_occ.metrics.rank import evaluate_rank, rank_lists, rank_queries
from torchreid_occ.metrics.rank_features import rank_features
from torchreid_occ.metrics.re_ranking import re_rank
from torchreid_occ.metrics.verification import pairs_of, roc_curve, tpr_at_fpr
from torchreid_occ.metrics.xqda import XQDA

METRIC_LEARNERS: dict[str, type[KISSME | XQDA]] = {"kissme": KISSME, "xqda": XQDA}

__all__ = [
    "KISSME",
    "METRIC_LEARNERS",
    "XQDA",
    "dir_at_fpir",
    "evaluate_rank",
    "open_set",
    "pairs_of",
    "rank_features",
    "rank_lists",
    "rank_queries",
    "re_rank",
    "reliability",
    "roc_curve",
    "tpr_at_fpr",
]
