"""How much was found in the frames of a dataset, and how near it comes to the truth."""

from collections import defaultdict

import numpy as np

from torchreid_occ.data.supervision import Supervision
from torchreid_occ.utils.progress import progress

LINES = ("shoulder row", "hip row", "knee row", "knee column")
FOUND = ("person", *LINES, "foreground")


def found_in(record):
    """Which of `FOUND` a frame has. Shape: `(6,)`, of bool."""
    lines = [line is not None for line in record["lines"] or [None] * len(LINES)]
    return np.array([record["score"] is not None, *lines, record["coverage"] is not None])


def shares_by_camera(tracklets, found):
    """How often each thing was found, and how much of the frame is foreground.

    Args:
        tracklets: Tracklets by subset.
        found: Records of the frames by path, see `make_supervision`.

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
    groups = defaultdict(list)
    for path, record in found.items():
        groups[cameras[path]].append(record)
    groups = {camid: groups[camid] for camid in sorted(groups)}
    return {
        camid: (len(records), _shares(records))
        for camid, records in (*groups.items(), ("all", list(found.values())))
    }


def _shares(records):
    shares = np.mean([found_in(record) for record in records], axis=0)
    coverage = [record["coverage"] for record in records if record["coverage"] is not None]
    return {
        **dict(zip(FOUND, shares.tolist(), strict=True)),
        "coverage": float(np.mean(coverage)) if coverage else float("nan"),
    }


def rank_tracklets(tracklets, found):
    """All tracklets, those with the least found first.

    Args:
        tracklets: Tracklets by subset.
        found: Records of the frames by path.

    Returns:
        `(share, subset, index)` of each tracklet: how much of all that can be found in its frames
        was, and where it is in `tracklets`.
    """
    return sorted(
        (float(np.mean([found_in(found[path]) for path in paths])), subset, index)
        for subset, items in tracklets.items()
        for index, (paths, *_) in enumerate(items)
    )


def accuracy(paths, targets: Supervision, truth: Supervision):
    """How far targets are from the truth, over the frames that have both.

    Args:
        paths: Paths of the frames.
        targets: What was found.
        truth: What is known.

    Returns:
        ``{name: values}``: absolute errors of the lines, of rows in heights and of columns in
        widths of the frame, and `foreground`, intersections over unions.
    """
    errors, overlaps = [], []
    for path in progress(paths, "truth", unit="frame"):
        errors.append(np.abs(targets.keypoints(path) - truth.keypoints(path)))
        masks = targets.foreground(path), truth.foreground(path)
        if None not in masks:
            found, known = (np.asarray(mask) > 127 for mask in masks)
            overlaps.append((found & known).sum() / max(1, (found | known).sum()))
    columns = dict(zip(LINES, np.stack(errors).T, strict=True))
    values = {name: column[~np.isnan(column)] for name, column in columns.items()}
    return {**values, "foreground": np.array(overlaps)}
