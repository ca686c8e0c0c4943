"""Scores of tracks against ground truth, by the metrics of the library `trackers`."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.footage.boxes import Boxes, read_mot
from torchreid_occ.utils.dependencies import import_optional
from torchreid_occ.utils.files import write_text


class TrackScores(NamedTuple):
    """Scores of tracks, of which 1 is the best.

    Attributes:
        hota: Higher order tracking accuracy (Luiten et al., IJCV 2021), the mean over overlaps.
        idf1: F1 of boxes with the right id (Ristani et al., ECCVW 2016), at an overlap of 0.5.
        mota: Multiple object tracking accuracy (Bernardin and Stiefelhagen, 2008), likewise.
        switches: How often a person changes the track.
        people: Number of people in the ground truth.
    """

    hota: float
    idf1: float
    mota: float
    switches: int
    people: int

    def __str__(self) -> str:
        return (
            f"HOTA {self.hota:.1%}  IDF1 {self.idf1:.1%}  MOTA {self.mota:.1%}  {self.switches} "
            f"switches of id, {self.people} people"
        )


def evaluate_tracks(tracks: StrPath, truth: StrPath) -> TrackScores:
    """Compares tracks with ground truth.

    Both may be in any of MOTChallenge's layouts: rows that are no people to track are left out, and
    the library gets neither class nor visibility, which it would read from MOT15's world
    coordinates.

    Args:
        tracks: File of tracks.
        truth: File of the ground truth.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file has no ids.
        ImportError: If the library is not installed.
    """
    found, true = read_mot(tracks), read_mot(truth)
    for path, boxes in ((tracks, found), (truth, true)):
        if not boxes.linked:
            raise ValueError(f"{path} holds detections without ids, but tracks are compared by id.")
    (metrics,) = import_optional("trackers.eval", extra="footage")
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("truth.txt", "tracks.txt")]
        for file, boxes in zip(files, (true, found), strict=True):
            write_text(file, _lines(boxes))
        result = metrics.evaluate_mot_sequence(*files, metrics=["CLEAR", "HOTA", "Identity"])
    return TrackScores(
        float(result.HOTA.HOTA),
        float(result.Identity.IDF1),
        float(result.CLEAR.MOTA),
        int(result.CLEAR.IDSW),
        len(set(true.track.tolist())),
    )


def _lines(boxes: Boxes) -> str:
    """Formats boxes in seven columns, with the confidence 1, which ground truth calls its flag."""
    rows = zip(boxes.frame.tolist(), boxes.track.tolist(), boxes.corners.tolist(), strict=True)
    return "".join(
        f"{frame},{track},{left:.3f},{top:.3f},{right - left:.3f},{bottom - top:.3f},1\n"
        for frame, track, (left, top, right, bottom) in rows
    )
