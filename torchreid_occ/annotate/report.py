"""Reports the quality of supervision: tables, and pictures to look at."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.annotate.make import KEYPOINTS
from torchreid_occ.annotate.pictures import draw_sheet
from torchreid_occ.annotate.quality import (
    FOUND,
    Records,
    Tracklets,
    accuracy,
    rank_tracklets,
    shares_by_camera,
)
from torchreid_occ.data.frame_strip import spread_frames
from torchreid_occ.data.poses import FOREGROUND
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.utils.files import replacing, write_text
from torchreid_occ.utils.tables import markdown_table

REPORT = "report.md"
DRAWN = 8  # tracklets in a picture
LISTED = 20  # of the worst tracklets


def write_report(
    folder: StrPath, tracklets: Tracklets, found: Records, truth: Supervision | None = None
) -> Path:
    """Writes `report.md` and its pictures beside the supervision.

    Args:
        folder: Folder of the supervision.
        tracklets: Tracklets by subset.
        found: Records by path of the frame, see `make_supervision`.
        truth: Supervision that comes with the dataset, if any.

    Returns:
        Path of the report.
    """
    folder = Path(folder)
    supervision = Supervision(str(folder / KEYPOINTS), str(folder / FOREGROUND))
    ranked = rank_tracklets(tracklets, found)
    everything = [paths for items in tracklets.values() for paths, *_ in items]
    spread = spread_frames(everything, DRAWN)
    worst = [tracklets[subset][index][0] for _, subset, index in ranked[:DRAWN]]
    for name, chosen in (("tracklets", spread), ("worst", worst)):
        with replacing(folder / "report" / f"{name}.png") as file:
            file.write(cv2.imencode(".png", draw_sheet(chosen, supervision))[1].tobytes())
    tables = [_camera_table(tracklets, found)]
    if truth is not None:
        tables.append(_accuracy_table(accuracy(found, supervision, truth)))
    parts = [
        "# Quality of the supervision",
        *tables,
        "Tracklets from all over the dataset, then those in which least was found. Yellow: "
        "shoulder, hip and knee rows; blue: the column; green: foreground.",
        "![tracklets](report/tracklets.png)\n\n![worst](report/worst.png)",
        _worst_table(tracklets, ranked[:LISTED]),
    ]
    write_text(folder / REPORT, "\n\n".join(part.rstrip("\n") for part in parts) + "\n")
    return folder / REPORT


def _camera_table(tracklets: Tracklets, found: Records) -> str:
    names = (*FOUND, "coverage")
    rows = [
        [camid, frames, *(f"{100 * quality[name]:.1f}" for name in names)]
        for camid, (frames, quality) in shares_by_camera(tracklets, found).items()
    ]
    return (
        "In percent of the frames; coverage in percent of a frame's pixels.\n\n"
        + markdown_table(("camera", "frames", *FOUND, "mean coverage"), rows)
    )


def _accuracy_table(values: dict[str, npt.NDArray[np.floating]]) -> str:
    rows = []
    for name, numbers in values.items():
        is_overlap = name == "foreground"  # more is better
        bad = 0.1 if is_overlap else 0.9
        quantiles = np.quantile(numbers, (0.5, bad)) if len(numbers) else (np.nan, np.nan)
        title = "foreground, overlap" if is_overlap else name
        rows.append([title, len(numbers), *(f"{100 * value:.1f}" for value in quantiles)])
    return (
        "Compared with the supervision that comes with the dataset: errors of rows in percent of "
        "the frame's height, of columns in percent of its width; overlap is intersection over "
        "union in percent.\n\n" + markdown_table(("", "frames", "median", "worst tenth from"), rows)
    )


def _worst_table(tracklets: Tracklets, ranked: list[tuple[float, str, int]]) -> str:
    rows = []
    for share, subset, index in ranked:
        paths, pid, camid, *_ = tracklets[subset][index]
        rows.append([f"{100 * share:.0f}", subset, pid, camid, len(paths), f"`{paths[0]}`"])
    titles = ("found (%)", "subset", "person", "camera", "frames", "first frame")
    return "The tracklets in which least was found:\n\n" + markdown_table(titles, rows)
