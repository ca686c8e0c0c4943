"""Ranking metrics with torchreid's signatures and numbers."""

from torchreid_occ.metrics.rank import evaluate_rank, rank_queries

__all__ = ["evaluate_rank", "rank_queries"]
