"""Supervision of any dataset: key point lines and foreground maps by trained networks."""

from torchreid_occ.annotate.blazepose import BlazePose, PoseFinder
from torchreid_occ.annotate.blazepose_weights import blazepose_file
from torchreid_occ.annotate.dataset import annotate_dataset
from torchreid_occ.annotate.detectors import load_detector
from torchreid_occ.annotate.finder import PersonFinder
from torchreid_occ.annotate.make import make_supervision
from torchreid_occ.annotate.options import BlazePoseOptions, FinderOptions
from torchreid_occ.annotate.report import write_report

__all__ = [
    "BlazePose",
    "BlazePoseOptions",
    "FinderOptions",
    "PersonFinder",
    "PoseFinder",
    "annotate_dataset",
    "blazepose_file",
    "load_detector",
    "make_supervision",
    "write_report",
]
