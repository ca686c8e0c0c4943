"""A run as one page that opens offline: results, plots, ranked tracklets, the model's pictures."""

from torchreid_occ.report.page import write_report

__all__ = ["write_report"]
