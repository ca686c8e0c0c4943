"""Supervision for any dataset: key point lines and foreground maps from torchvision's detectors."""

from torchreid_occ.annotate.detectors import load_detector
from torchreid_occ.annotate.finder import PersonFinder
from torchreid_occ.annotate.make import make_targets
from torchreid_occ.annotate.report import write_report

__all__ = ["PersonFinder", "load_detector", "make_targets", "write_report"]
