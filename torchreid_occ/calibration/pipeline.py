"""Calibrates a checkpoint on a dataset: extracts features, fits, measures, and writes the file."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from yacs.config import CfgNode

from torchreid_occ._types import Item, StrPath
from torchreid_occ.calibration.calibration import Calibration
from torchreid_occ.calibration.fitting import (
    MIN_IDENTITIES,
    LabelledFeatures,
    check_people,
    fit_calibration,
)
from torchreid_occ.calibration.maxima import check_rate
from torchreid_occ.calibration.measuring import measure_calibration
from torchreid_occ.calibration.storing import calibration_path, save_calibration
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.ground_truth import ground_truth_of
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.extractor import TrackletExtractor
from torchreid_occ.utils.files import check_replaceable
from torchreid_occ.utils.progress import progress

COHORT = 1000  # tracklets of other people
_CLEAN = ".clean"  # ends the name of a dataset's twin without occluders: the same people
_BATCH = 64  # tracklets extracted at a time


def calibrate(
    checkpoint: StrPath,
    dataset: str,
    root: StrPath = "",
    split_id: int = 0,
    rate: float = 0.01,
    path: StrPath | None = None,
) -> Calibration:
    """Fits a calibration to the queries and the gallery of a dataset and writes it.

    The training people of the dataset serve as the cohort. Without any, half of the other people
    do.

    Args:
        checkpoint: The checkpoint.
        dataset: Name of the dataset. Its queries and gallery must show people whom the checkpoint
            was not trained on.
        root: Folder that holds the datasets.
        split_id: Split of the dataset.
        rate: False positive identification rate that is measured.
        path: The file; that beside the checkpoint if None.

    Raises:
        FileNotFoundError: If the checkpoint or the dataset is not there.
        OSError: If the file cannot be written, before features are extracted.
        ValueError: If there are too few identities, the checkpoint was trained on some of them, or
            the rate is not between 0 and 1.
        ImportError: If scikit-learn is not installed.
    """
    check_rate(rate)
    loaded = load_dataset(dataset, root, split_id)
    listed = tracklets_of(loaded)
    _check_people(listed)
    truth = ground_truth_of(loaded)
    labels = None if truth is None else truth.query_labels()
    extractor = TrackletExtractor(checkpoint)
    _check_unseen(extractor.config.data, dataset, split_id)
    file = calibration_path(extractor.checkpoint) if path is None else Path(path)
    check_replaceable(file)
    query, gallery = (_extracted(extractor, listed[part]) for part in ("query", "gallery"))
    chosen = np.random.default_rng(0).permutation(len(listed["train"]))[:COHORT]
    if len(chosen):
        cohort = _extracted(extractor, [listed["train"][i] for i in np.sort(chosen)])
    else:
        query, gallery, cohort, labels = _divided(query, gallery, labels)
    about: dict[str, Any] = {
        "dataset": dataset,
        "split_id": split_id,
        "identities": len(np.unique(query.pids)),
        "queries": len(query.pids),
        "gallery": len(gallery.pids),
        "cohort": len(cohort.pids),
        "measured": measure_calibration(query, gallery, cohort, rate, labels),
    }
    calibration = fit_calibration(query, gallery, cohort, extractor.checkpoint_hash, about)
    save_calibration(calibration, file)
    return calibration


def _check_people(listed: dict[str, list[Item]]) -> None:
    """Checks that there are enough people before features are extracted."""
    q_pids, q_camids = _labels(listed["query"])
    g_pids, g_camids = _labels(listed["gallery"])
    mates = (q_pids[:, None] == g_pids) & (q_camids[:, None] != g_camids)
    # Without training people, half of the people serve as the cohort.
    check_people(q_pids[mates.any(axis=1)], MIN_IDENTITIES * (1 if listed["train"] else 2))


def _check_unseen(trained: CfgNode, dataset: str, split_id: int) -> None:
    """Refuses people whom a run was trained on, by `data.combineall` or in another split."""
    sources = {name.removesuffix(_CLEAN) for name in trained.sources}
    cls, same_split = dataset_class(dataset), trained.split_id == split_id
    same_people = same_split or getattr(cls, "splits_share_people", True)
    if dataset.removesuffix(_CLEAN) not in sources or not same_people:
        return
    if trained.combineall:
        raise ValueError(
            f"The checkpoint was trained on the queries and the gallery of {dataset} itself "
            "(data.combineall), so their distances say nothing about other people: calibrate on "
            "another dataset."
        )
    if not same_split and getattr(cls, "num_splits", None) != 1:
        raise ValueError(
            f"The checkpoint was trained on split {trained.split_id} of {dataset}, whose training "
            f"people are in the test of split {split_id}, too: calibrate on split "
            f"{trained.split_id}, or on another dataset."
        )


def _extracted(extractor: TrackletExtractor, items: list[Item]) -> LabelledFeatures:
    batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
    features = [
        extractor([list(paths) for paths, *_ in batch]).numpy()
        for batch in progress(batches, "extracting", unit="batch")
    ]
    return LabelledFeatures(np.concatenate(features), *_labels(items))


def _labels(items: list[Item]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns pids and camids."""
    return np.array([pid for _, pid, *_ in items]), np.array([camid for _, _, camid, *_ in items])


def _divided(
    query: LabelledFeatures, gallery: LabelledFeatures, labels: npt.NDArray[np.int64] | None
) -> tuple[LabelledFeatures, LabelledFeatures, LabelledFeatures, npt.NDArray[np.int64] | None]:
    """Takes half of the people as the cohort."""
    people = np.random.default_rng(0).permutation(np.unique(query.pids))
    kept = people[: len(people) // 2]
    others = gallery.of(np.setdiff1d(gallery.pids, kept))
    cohort = LabelledFeatures(
        others.features[:COHORT], others.pids[:COHORT], others.camids[:COHORT]
    )
    if labels is not None:
        labels = labels[np.isin(query.pids, kept)]
    return query.of(kept), gallery.of(kept), cohort, labels
