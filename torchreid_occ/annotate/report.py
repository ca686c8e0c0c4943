"""The quality report of a set of targets: tables, and pictures to look at."""

from pathlib import Path

import cv2
import numpy as np

from torchreid_occ.annotate.make import FOREGROUND, KEYPOINTS
from torchreid_occ.annotate.pictures import draw_sheet
from torchreid_occ.annotate.quality import FOUND, accuracy, rank_tracklets, shares_by_camera
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.utils.files import replacing, write_text

REPORT = "report.md"
DRAWN = 8  # tracklets in a picture
LISTED = 20  # of the worst tracklets


def write_report(folder, tracklets, found, truth=None):
    """Writes `report.md` and its pictures beside the targets.

    Args:
        folder: Folder of the targets.
        tracklets: Tracklets by subset.
        found: Records of the frames by path, see `make_supervision`.
        truth: The `Supervision` that comes with the data, or None.

    Returns:
        Path of the report.
    """
    folder = Path(folder)
    targets = Supervision(str(folder / KEYPOINTS), str(folder / FOREGROUND))
    ranked = rank_tracklets(tracklets, found)
    everything = [paths for items in tracklets.values() for paths, *_ in items]
    spread = everything[:: max(1, len(everything) // DRAWN)][:DRAWN]
    worst = [tracklets[subset][index][0] for _, subset, index in ranked[:DRAWN]]
    for name, chosen in (("tracklets", spread), ("worst", worst)):
        with replacing(folder / "report" / f"{name}.png") as file:
            file.write(cv2.imencode(".png", draw_sheet(chosen, targets))[1].tobytes())
    tables = [_camera_table(shares_by_camera(tracklets, found))]
    if truth is not None:
        tables.append(_accuracy_table(accuracy(found, targets, truth)))
    parts = [
        "# Quality of these targets",
        *tables,
        "Tracklets from all over the data, then those in which least was found. Yellow: shoulder, "
        "hip and knee rows; blue: the column; green: foreground.",
        "![tracklets](report/tracklets.png)\n\n![worst](report/worst.png)",
        _worst_table(tracklets, ranked[:LISTED]),
    ]
    write_text(folder / REPORT, "\n\n".join(parts) + "\n")
    return folder / REPORT


def _camera_table(shares):
    rows = [
        [camid, frames, *(f"{100 * quality[name]:.1f}" for name in (*FOUND, "coverage"))]
        for camid, (frames, quality) in shares.items()
    ]
    header = ["camera", "frames", *FOUND, "mean coverage"]
    return "In percent of the frames; coverage in percent of a frame's pixels.\n\n" + _table(
        header, rows
    )


def _accuracy_table(values):
    rows = []
    for name, numbers in values.items():
        is_overlap = name == "foreground"  # more is better
        bad = 0.1 if is_overlap else 0.9
        quantiles = np.quantile(numbers, (0.5, bad)) if len(numbers) else (np.nan, np.nan)
        title = "foreground, overlap" if is_overlap else name
        rows.append([title, len(numbers), *(f"{100 * value:.1f}" for value in quantiles)])
    return (
        "Beside the supervision that comes with the data: rows are off by percent of the frame's "
        "height, columns of its width; overlap is intersection over union in percent.\n\n"
        + _table(["", "frames", "median", "worst tenth from"], rows)
    )


def _worst_table(tracklets, ranked):
    rows = []
    for share, subset, index in ranked:
        paths, pid, camid, *_ = tracklets[subset][index]
        rows.append([f"{100 * share:.0f}", subset, pid, camid, len(paths), f"`{paths[0]}`"])
    return "The tracklets in which least was found, of all that can be:\n\n" + _table(
        ["found (%)", "subset", "person", "camera", "frames", "first frame"], rows
    )


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
