"""Supervision of any dataset: key point lines and foreground maps by torchvision's detectors."""

from torchreid_occ.annotate.dataset import FinderOptions, annotate_dataset
from torchreid_occ.annotate.detectors import load_detector
from torchreid_occ.annotate.finder import PersonFinder
from torchreid_occ.annotate.make import make_supervision
from torchreid_occ.annotate.report import write_report

__all__ = [
    "FinderOptions",
    "PersonFinder",
    "annotate_dataset",
    "load_detector",
    "make_supervision",
    "write_report",
]
