"""A video added to a dataset as tracklets: whole or not at all, and gone on with after a kill."""

import json
import math
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from torchreid_occ.data.datasets.base import subfolders
from torchreid_occ.footage.boxes import read_mot
from torchreid_occ.footage.crops import cut
from torchreid_occ.footage.detecting import detect
from torchreid_occ.footage.detectors import HOG, build_detector
from torchreid_occ.footage.linking import link
from torchreid_occ.footage.tracks import long_enough, split_at_gaps, usable
from torchreid_occ.footage.video import scan_video
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import claim_folder, file_hash, write_text
from torchreid_occ.utils.locks import try_lock
from torchreid_occ.version import __version__

MANIFEST, DETECTIONS, GALLERY, RECORDINGS = (
    *("manifest.json", "detections.txt"),
    *("gallery", "recordings"),
)


class BoxSource(NamedTuple):
    """Where boxes come from: a file of them, or a detector.

    Attributes:
        detections: A file of detections or tracks in MOTChallenge's format.
        detector: Name of a detector, see `build_detector`.
        weights: A file of weights for the detector.
    """

    detections: str | None = None
    detector: str | None = None
    weights: str | None = None


class TrackletOptions(NamedTuple):
    """What becomes a tracklet.

    Attributes:
        camera: Number of the camera.
        frame_rate: Frames a second, in place of the times the video gives.
        min_score: The score from which a detection starts a track; None for the source's.
        min_height: Pixels of height that a box needs.
        min_length: Frames that a tracklet needs.
        max_gap: Seconds that a tracklet may miss.
        margin: What is added around a box, as a share of its width and height.
    """

    camera: int
    frame_rate: float | None = None
    min_score: float | None = None
    min_height: float = 32
    min_length: int = 8
    max_gap: float = 1.0
    margin: float = 0.0


_LOWEST = TrackletOptions(0, min_score=-math.inf, min_height=1, min_length=1, max_gap=0, margin=0)
_MIN_SCORE, _MIN_SCORE_HOG = 0.7, 1.5  # a probability; the distance from a boundary


def add_recording(
    video: str | Path,
    dataset: str | Path,
    source: BoxSource,
    options: TrackletOptions,
    name: str = "",
) -> dict:
    """Cuts tracklets out of a video and adds them to the gallery of a `tracklet_folder` dataset.

    Who is who in two tracklets is not known, so each is a person of its own. Below the dataset::

        gallery/<name>_0001/<camera>_<name>_0001/<name>_0001_000017.jpg    track 1, frame 17
        recordings/<name>.json             the video, the options, and where each tracklet was
        recordings/<name>.detections.txt   what a detector found, of use for another try

    All of it appears once it is complete. A video that is there already is left as it is.

    Args:
        video: The video.
        dataset: Folder of the dataset; made if missing.
        source: Where boxes come from.
        options: What becomes a tracklet.
        name: Name of the recording; by default the video's.

    Returns:
        The recording's manifest.

    Raises:
        FileNotFoundError: If a file is not there.
        FileExistsError: If the dataset has another recording of that name.
        ValueError: If a file or an option can't be used, or nothing is left to cut out.
        ImportError: If what links detections is not installed.
        WeightsUnavailable: If the detector's weights can't be had.
    """
    video, dataset = Path(video).expanduser(), Path(dataset).expanduser()
    options = _checked(options, source)
    name = _checked_name(name or re.sub(r"[^\w.-]+", "_", video.stem).strip("."))
    request = _request(video, source, options)
    if (dataset / "tracklets.csv").exists():
        raise ValueError(
            f"{dataset} holds tracklets.csv, which is read in place of folders: choose another."
        )
    final = dataset / RECORDINGS / f"{name}.json"
    with _workshop(dataset / f".{name}.partial") as workshop:
        if (workshop / MANIFEST).exists():  # of a run that was killed while it published
            _publish(workshop, dataset, name)
        if not final.exists():
            _check_free(dataset, name)
            claim_folder(workshop, {key: request[key] for key in ("video", "source")}, "recording")
            _make(workshop, video, source, options, name, request)
            _publish(workshop, dataset, name)
    manifest = read_json(final)
    changed = [key for key in request if manifest[key] != request[key]]
    if changed:
        raise FileExistsError(
            f"{final} was made from another {', '.join(changed)}: give this recording another name "
            f"(--name), or remove that file and the folders {dataset / GALLERY}/{name}_*."
        )
    return manifest


def _checked(options, source):
    if options.min_score is None:
        least = _MIN_SCORE_HOG if source.detector == HOG else _MIN_SCORE
        options = options._replace(min_score=least)
    for name, lowest in _LOWEST._asdict().items():
        value = getattr(options, name)
        if lowest is not None and not lowest <= value < math.inf:
            raise ValueError(f"{name} is {value}, but must be a number from {lowest} on.")
    return options


def _checked_name(name):
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            f"The recording's name is {name!r}, but must be of letters, digits, '_', '-' and '.', "
            "and begin with one of the first three (--name)."
        )
    return name


def _request(video, source, options):
    """What a recording is made of, by content, so that a rerun is told from another one."""
    if not video.is_file():
        raise FileNotFoundError(f"There is no video {video}.")
    if source.weights and not source.detector:
        raise ValueError("Weights are a detector's: leave --weights out, or name a --detector.")
    made_by = {"detector": source.detector}
    for kind in ("detections", "weights"):
        path = getattr(source, kind)
        if path and not Path(path).is_file():
            raise FileNotFoundError(f"There is no file of {kind} {path}.")
        made_by[kind] = file_hash(path) if path else None
    if source.detector == HOG:
        made_by["min_height"] = options.min_height  # decides how large it sees the frames
    return {"video": file_hash(video), "source": made_by, "options": options._asdict()}


@contextmanager
def _workshop(folder):
    """A folder for this process alone; one that fails leaves it only if it holds detections."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not try_lock(handle):
            raise ValueError(f"Another process is at work in {folder}.")
        try:
            yield folder
        except Exception:
            if not (folder / DETECTIONS).exists():
                shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)
    finally:
        os.close(handle)


def _check_free(dataset, name):
    taken = re.compile(rf"{re.escape(name)}_\d{{4,}}")
    gallery = dataset / GALLERY
    found = [p for p in subfolders(gallery) if taken.fullmatch(p.name)] if gallery.exists() else []
    if found:
        raise FileExistsError(
            f"{found[0]} is there, but not the {RECORDINGS}/{name}.json it would belong to: remove "
            f"{name}_* from {gallery}, or give this recording another name (--name)."
        )


def _make(workshop, path, source, options, name, request):
    """Leaves a recording in the workshop; its manifest comes last."""
    # What can fail at once comes before what takes long.
    boxes = read_mot(source.detections) if source.detections else None
    detector = None
    if boxes is None:
        detector = build_detector(source.detector, source.weights, options.min_height)
    video = scan_video(path, options.frame_rate)
    if detector:
        boxes = detect(video, detector, workshop / DETECTIONS)
    boxes = usable(boxes, video, options.min_height)
    if not boxes.linked:
        boxes = link(boxes, video, options.min_score, options.max_gap)
    tracks = long_enough(split_at_gaps(boxes, video, options.max_gap), options.min_length)
    folders = {}
    for number in np.unique(tracks.track).tolist():
        person = f"{name}_{number:04d}"
        folders[number] = Path(GALLERY, person, f"{options.camera}_{person}")
    shutil.rmtree(workshop / GALLERY, ignore_errors=True)
    cut(video, tracks, {n: workshop / folder for n, folder in folders.items()}, options.margin)
    manifest = {
        **request,
        "file": path.name,
        "frames": len(video.times),
        "announced_frames": video.announced,
        "frame_rate": round(video.frame_rate, 3),
        "size": video.size,
        "versions": {"torchreid_occ": __version__, "opencv": cv2.__version__},
        "tracklets": {
            str(folder): _where(tracks[tracks.track == number], video)
            for number, folder in folders.items()
        },
    }
    write_text(workshop / MANIFEST, json.dumps(manifest, ensure_ascii=False) + "\n")


def _where(track, video):
    """Where a tracklet was: a list for each quantity, one value a frame."""
    return {
        "frames": track.frame.tolist(),
        "seconds": video.times[track.frame - 1].round(3).tolist(),
        "boxes": track.corners.round(2).tolist(),
        "scores": track.score.round(4).tolist(),
    }


def _publish(workshop, dataset, name):
    """Moves a recording to its place, tracklet by tracklet; its manifest goes last."""
    for folder in (GALLERY, RECORDINGS):
        (dataset / folder).mkdir(exist_ok=True)
    for person in subfolders(workshop / GALLERY):
        person.rename(dataset / GALLERY / person.name)
    if (workshop / DETECTIONS).exists():
        (workshop / DETECTIONS).rename(dataset / RECORDINGS / f"{name}.detections.txt")
    (workshop / MANIFEST).rename(dataset / RECORDINGS / f"{name}.json")
