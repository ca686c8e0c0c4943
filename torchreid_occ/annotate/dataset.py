"""Annotates a dataset by name: loads the detectors, annotates every frame and reports quality."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.annotate.detectors import load_detector
from torchreid_occ.annotate.finder import PersonFinder
from torchreid_occ.annotate.make import make_supervision
from torchreid_occ.annotate.report import write_report
from torchreid_occ.data.supervision import supervision_of
from torchreid_occ.data.tracklets import load_dataset, tracklets_of


class FinderOptions(NamedTuple):
    """Detectors and thresholds that find the tracked person in a frame.

    Attributes:
        keypoint_weights: Weights of a `keypointrcnn_resnet50_fpn`; None for torchvision's own.
        segmentation_weights: Weights of a `maskrcnn_resnet50_fpn`; None for torchvision's own.
        height: Frames are enlarged to as many pixels; None for the height of the weights, or 512.
        min_score: Detections of a lower score are ignored.
        min_keypoint_score: A key point whose heat map peaks lower counts as not visible.
    """

    keypoint_weights: StrPath | None = None
    segmentation_weights: StrPath | None = None
    height: int | None = None
    min_score: float = 0.5
    min_keypoint_score: float = 2.0


def annotate_dataset(
    name: str,
    root: str,
    folder: StrPath,
    *,
    split_id: int = 0,
    dataset_options: Mapping[str, Any] | None = None,
    max_tracklets: int | None = None,
    finder_options: FinderOptions | None = None,
    batch_size: int = 8,
    workers: int = 2,
) -> Path:
    """Writes key point lines and foreground maps of all frames of a dataset, and a report.

    A killed call is continued by the same call.

    Args:
        name: Name of the dataset.
        root: Folder that holds the datasets.
        folder: Where the supervision is written: a new folder, or that of a killed call.
        split_id: Split of the dataset.
        dataset_options: Further arguments of the dataset's constructor.
        max_tracklets: Annotate the first tracklets of each subset only, for a trial.
        finder_options: Detectors and thresholds; the default ones if None.
        batch_size: Frames in a batch of the detectors.
        workers: Processes that read images.

    Returns:
        Path of the report.

    Raises:
        WeightsUnavailable: If torchvision's weights are neither cached nor downloadable.
        FileNotFoundError: If the dataset or a file of weights does not exist.
        ValueError: If `folder` holds something else, or a file cannot be read.
    """
    finding = finder_options or FinderOptions()
    files = {"keypoints": finding.keypoint_weights, "masks": finding.segmentation_weights}
    detectors = {
        kind: load_detector(kind, file, finding.height, finding.min_score)
        for kind, file in files.items()
    }
    options = dict(dataset_options or {})
    dataset = load_dataset(name, root, split_id, options=options)
    subsets = tracklets_of(dataset).items()
    tracklets = {subset: items[:max_tracklets] for subset, items in subsets}
    plan = {
        "source": {"name": name, "split_id": split_id, "options": options},
        "weights": {kind: detector.sha256 for kind, detector in detectors.items()},
        "height": finding.height,
        "min_score": finding.min_score,
        "min_keypoint_score": finding.min_keypoint_score,
    }
    finder = PersonFinder(
        detectors["keypoints"].network, detectors["masks"].network, finding.min_keypoint_score
    )
    found = make_supervision(folder, tracklets, finder, plan, batch_size, workers)
    truth = supervision_of(dataset)
    return write_report(folder, tracklets, found, truth)
