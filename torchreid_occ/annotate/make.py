"""Makes the supervision of a dataset: key point lines and foreground maps of all of its frames.

In the folder of a set of targets are::

    plan.json                          what it is made of and by what
    frames.jsonl                       what was found in each frame done so far, in order
    foreground/<frame>/foreground.png  the released format
    keypoints.json                     the released format; it is there when all frames are done
    report.md, report/*.png            how good it looks
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

from torchreid_occ.annotate.frames import Frames, name_frames
from torchreid_occ.annotate.journal import Journal
from torchreid_occ.completion.dataset import fingerprint
from torchreid_occ.data.images import verify_images
from torchreid_occ.data.supervision import foreground_path
from torchreid_occ.utils.files import claim_folder, remove_partial_files, replacing, write_text
from torchreid_occ.utils.progress import progress

KEYPOINTS, FOREGROUND = "keypoints.json", "foreground"


def make_supervision(folder, tracklets, finder, plan, batch_size=8, workers=2):
    """Writes the targets of a dataset; a killed call is continued by the same call.

    Args:
        folder: Where they go; it must be new, or hold this set of targets.
        tracklets: Tracklets by subset.
        finder: A `PersonFinder`.
        plan: Plain values that say what the dataset and the finder are.
        batch_size: Frames that pass the detectors at once.
        workers: Processes that read images.

    Returns:
        What was found, by path of the frame: `{"frame", "score", "lines", "coverage"}`, with None
        where nothing was.

    Raises:
        ValueError: If the folder holds anything else, or an image can't be read.
    """
    folder = Path(folder)
    names = name_frames(tracklets)
    claim_folder(folder, {**plan, "fingerprint": fingerprint(tracklets)}, "set of targets")
    with Journal(folder / "frames.jsonl") as journal:
        remove_partial_files(folder)
        todo = list(names)[len(journal.records) :]
        verify_images(todo, workers)
        loader = DataLoader(
            Frames(todo), batch_size, shuffle=False, num_workers=workers, collate_fn=list
        )
        (folder / FOREGROUND).mkdir(exist_ok=True)
        for number, batch in enumerate(progress(loader, "targets", unit="batch")):
            paths = todo[number * batch_size :][:batch_size]
            pairs = zip(paths, finder(batch), strict=True)
            journal.extend([_write(folder, names[path], target) for path, target in pairs])
        if not (folder / KEYPOINTS).exists():
            lines = {record["frame"]: record["lines"] for record in journal.records}
            write_text(folder / KEYPOINTS, json.dumps(lines))
        return dict(zip(names, journal.records, strict=True))


def _write(folder, name, target):
    """Writes the foreground map of a frame and returns its record."""
    known = np.isfinite(target.lines)
    lines = [round(float(x), 4) if ok else None for x, ok in zip(target.lines, known, strict=True)]
    coverage = None
    if target.foreground is not None:
        coverage = round(float((target.foreground > 0).mean()), 4)
        path = foreground_path(folder / FOREGROUND, name)
        remove_partial_files(path.parent)  # of a killed call
        with replacing(path) as file:
            Image.fromarray(target.foreground).save(file, format="png")
    return {
        "frame": name,
        "score": None if target.score is None else round(target.score, 4),
        "lines": lines if known.any() else None,
        "coverage": coverage,
    }
