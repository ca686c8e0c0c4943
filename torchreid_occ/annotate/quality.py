"""Measures how much supervision was found in a dataset, and its error against ground truth."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import Item
from torchreid_occ.annotate.make import FrameRecord
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.utils.progress import progress

LINES = ("shoulder row", "hip row", "knee row", "knee column")
FOUND = ("person", *LINES, "foreground")


Tracklets: TypeAlias = Mapping[str, Sequence[Item]]  # by subset
Records: TypeAlias = Mapping[str, FrameRecord]  # by path of the frame


def found_in(record: FrameRecord) -> npt.NDArray[np.bool_]:
    """Returns which of `FOUND` a frame has.

    Args:
        record: Record of the frame.

    Shape:
        Result: `(6,)`.
    """
    lines = [line is not None for line in record["lines"] or [None] * len(LINES)]
    return np.array([record["score"] is not None, *lines, record["coverage"] is not None])


def shares_by_camera(
    tracklets: Tracklets, found: Records
) -> dict[int | Literal["all"], tuple[int, dict[str, float]]]:
    """Returns the share of frames with each kind of supervision, and the mean foreground.

    Args:
        tracklets: Tracklets by subset.
        found: Records by path of the frame.

    Returns:
        ``{camid: (number of frames, {name: share})}`` with the names `FOUND` and `coverage`, the
        mean over frames with a foreground; the key `all` has all cameras.
    """
    cameras = {
        path: camid
        for items in tracklets.values()
        for paths, _, camid, *_ in items
        for path in paths
    }
    groups: dict[int, list[FrameRecord]] = defaultdict(list)
    for path, record in found.items():
        groups[cameras[path]].append(record)
    shares: dict[int | Literal["all"], tuple[int, dict[str, float]]] = {
        camid: (len(groups[camid]), _shares(groups[camid])) for camid in sorted(groups)
    }
    shares["all"] = len(found), _shares(found.values())
    return shares


def _shares(records: Collection[FrameRecord]) -> dict[str, float]:
    shares = np.mean([found_in(record) for record in records], axis=0)
    coverage = [record["coverage"] for record in records if record["coverage"] is not None]
    return {
        **dict(zip(FOUND, shares.tolist(), strict=True)),
        "coverage": float(np.mean(coverage)) if coverage else float("nan"),
    }


def rank_tracklets(tracklets: Tracklets, found: Records) -> list[tuple[float, str, int]]:
    """Sorts all tracklets by how much supervision was found, least first.

    Args:
        tracklets: Tracklets by subset.
        found: Records by path of the frame.

    Returns:
        `(share, subset, index)` of each tracklet: the share of `FOUND` in its frames, and its place
        in `tracklets`.
    """
    return sorted(
        (float(np.mean([found_in(found[path]) for path in paths])), subset, index)
        for subset, items in tracklets.items()
        for index, (paths, *_) in enumerate(items)
    )


def accuracy(
    paths: Collection[str], supervision: Supervision, truth: Supervision
) -> dict[str, npt.NDArray[np.floating]]:
    """Compares supervision with ground truth over the frames that have both.

    Args:
        paths: Paths of the frames.
        supervision: The supervision to measure.
        truth: The ground truth.

    Returns:
        ``{name: values}``: absolute errors of rows as shares of the frame's height and of columns
        as shares of its width, and `foreground`, intersections over unions.
    """
    errors, overlaps = [], []
    for path in progress(paths, "comparing", unit="frame"):
        errors.append(np.abs(supervision.keypoints(path) - truth.keypoints(path)))
        mask, true_mask = supervision.foreground(path), truth.foreground(path)
        if mask is not None and true_mask is not None:
            found, known = np.asarray(mask) > 127, np.asarray(true_mask) > 127
            overlaps.append((found & known).sum() / max(1, (found | known).sum()))
    columns = dict(zip(LINES, np.stack(errors).T, strict=True))
    values = {name: column[~np.isnan(column)] for name, column in columns.items()}
    return {**values, "foreground": np.array(overlaps)}
