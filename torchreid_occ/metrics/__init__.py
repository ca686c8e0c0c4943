"""Ranking metrics with torchreid's signatures and numbers, and metric learning."""

from torchreid_occ.metrics.kissme import KISSME
from torchreid_occ.metrics.rank import evaluate_rank, rank_lists, rank_queries
from torchreid_occ.metrics.rank_features import rank_features
from torchreid_occ.metrics.re_ranking import re_rank
from torchreid_occ.metrics.xqda import XQDA

METRIC_LEARNERS: dict[str, type[KISSME | XQDA]] = {"kissme": KISSME, "xqda": XQDA}

__all__ = [
    "KISSME",
    "METRIC_LEARNERS",
    "XQDA",
    "evaluate_rank",
    "rank_features",
    "rank_lists",
    "rank_queries",
    "re_rank",
]
