"""Makes the supervision of a dataset: key point lines and foreground maps of all its frames.

The folder of a supervision holds::

    plan.json                          the dataset, the networks and their settings
    frames.jsonl                       a `FrameRecord` for each frame done so far, in order
    foreground/<frame>/foreground.png  foreground maps, in the released format
    foreground/<frame>/pose.json       all key points, of a network that finds them
    keypoints.json                     key point lines, in the released format; written last
    report.md, report/*.png            quality of the supervision
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

from torchreid_occ._types import Item, StrPath
from torchreid_occ.annotate.finder import FrameAnnotation
from torchreid_occ.annotate.frames import DecodedFrames, name_frames
from torchreid_occ.annotate.journal import Journal
from torchreid_occ.data.copies import fingerprint
from torchreid_occ.data.images import verify_images
from torchreid_occ.data.poses import FOREGROUND, pose_path, write_pose
from torchreid_occ.data.supervision import foreground_path
from torchreid_occ.utils.files import claim_folder, remove_partial_files, replacing, write_text
from torchreid_occ.utils.progress import progress

KEYPOINTS = "keypoints.json"


class FrameRecord(TypedDict):
    """Summary of a frame's annotation; None for what was not found.

    Attributes:
        frame: Name of the frame.
        score: Score of the person.
        lines: Shoulder, hip and knee rows and knee column, as fractions of the frame.
        coverage: Share of the frame that is foreground.
    """

    frame: str
    score: float | None
    lines: list[float | None] | None
    coverage: float | None


def make_supervision(
    folder: StrPath,
    tracklets: Mapping[str, Sequence[Item]],
    finder: Callable[[Sequence[Image.Image]], Sequence[FrameAnnotation]],
    plan: Mapping[str, Any],
    batch_size: int = 8,
    workers: int = 2,
    names: Mapping[str, str] | None = None,
) -> dict[str, FrameRecord]:
    """Annotates all frames of a dataset; a killed call is continued by the same call.

    Args:
        folder: Where the supervision is written: a new folder, or that of a killed call.
        tracklets: Tracklets by subset.
        finder: A `PersonFinder` or a `PoseFinder`.
        plan: Plain values that identify the dataset and the finder.
        batch_size: Frames in a batch of the networks.
        workers: Processes that read images.
        names: Names of the frames by path, where the tracklets are a part of a dataset in which
            names must be unique; those of `name_frames` if None.

    Returns:
        Records by path of the frame.

    Raises:
        ValueError: If the folder holds something else, or an image cannot be read.
    """
    folder = Path(folder)
    known = names or name_frames(tracklets)
    names = {
        path: known[path] for items in tracklets.values() for frames, *_ in items for path in frames
    }
    claim_folder(folder, {**plan, "fingerprint": fingerprint(tracklets)}, "supervision")
    with Journal(folder / "frames.jsonl") as journal:
        remove_partial_files(folder)
        todo = list(names)[len(journal.records) :]
        verify_images(todo, workers)
        loader: DataLoader[Image.Image] = DataLoader(
            DecodedFrames(todo), batch_size, shuffle=False, num_workers=workers, collate_fn=list
        )
        (folder / FOREGROUND).mkdir(exist_ok=True)
        for number, batch in enumerate(progress(loader, "annotating", unit="batch")):
            paths = todo[number * batch_size :][:batch_size]
            pairs = zip(paths, finder(batch), strict=True)
            journal.extend([_write(folder, names[path], annotation) for path, annotation in pairs])
        if not (folder / KEYPOINTS).exists():
            lines = {record["frame"]: record["lines"] for record in journal.records}
            write_text(folder / KEYPOINTS, json.dumps(lines))
        return dict(zip(names, journal.records, strict=True))


def _write(folder: Path, name: str, annotation: FrameAnnotation) -> FrameRecord:
    """Writes the foreground map and the pose of a frame and returns its record."""
    known = np.isfinite(annotation.lines)
    lines = [
        round(float(line), 4) if ok else None
        for line, ok in zip(annotation.lines, known, strict=True)
    ]
    path = foreground_path(folder / FOREGROUND, name)
    remove_partial_files(path.parent)  # of a killed call
    if annotation.pose is not None:
        write_pose(pose_path(folder / FOREGROUND, name), annotation.pose)
    coverage = None
    if annotation.foreground is not None:
        coverage = round(float((annotation.foreground > 0).mean()), 4)
        with replacing(path) as file:
            Image.fromarray(annotation.foreground).save(file, format="png")
    return {
        "frame": name,
        "score": None if annotation.score is None else round(annotation.score, 4),
        "lines": lines if known.any() else None,
        "coverage": coverage,
    }
