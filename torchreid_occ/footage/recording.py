"""Adds a video to a dataset as tracklets, atomically; a killed call can be continued."""

import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import subfolders
from torchreid_occ.footage.boxes import Boxes, mot_line, read_mot
from torchreid_occ.footage.crops import CropStore, Cutting, write_moments
from torchreid_occ.footage.detecting import DetectedBoxes, KnownBoxes
from torchreid_occ.footage.detectors import HOG, ONNX, build_detector, default_min_score
from torchreid_occ.footage.image_sequence import find_sequence
from torchreid_occ.footage.linking import libraries, link
from torchreid_occ.footage.manifest import MOMENTS, RECORDINGS, WHOLE_FRAME, middle
from torchreid_occ.footage.reading import Reading
from torchreid_occ.footage.sheet import write_sheet
from torchreid_occ.footage.tracks import long_enough, split_at_gaps, usable
from torchreid_occ.footage.video import Video, existing_video, video_hash
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.files import claim_folder, file_hash, write_text
from torchreid_occ.utils.locks import try_lock
from torchreid_occ.version import __version__

# In the folder of unfinished work; among the recordings, their names begin with the recording's.
MANIFEST, DETECTIONS = "manifest.json", "detections.txt"
TRACKS, SHEET = "tracks.txt", "sheet.html"
_CROPS = "crops"
GALLERY = "gallery"  # in the dataset


class BoxSource(NamedTuple):
    """Where boxes come from: a file of boxes, or a detector.

    Attributes:
        detections: File of detections or tracks in MOTChallenge's format.
        detector: Name of a detector, see `build_detector`.
        weights: File of weights for the detector.
    """

    detections: str | None = None
    detector: str | None = None
    weights: str | None = None


class RecordingInUseError(ValueError):
    """A recording that another process is adding."""


class TrackletOptions(NamedTuple):
    """Which tracks become tracklets, and how they are cropped.

    Attributes:
        camera: Number of the camera.
        frame_rate: Frames per second, in place of the times in the video.
        min_score: Lowest score of a detection that starts a track; None for 0.7, 0.5 of an ONNX
            file, or 1.5 of HOG.
        min_height: Smallest height of a box in pixels.
        min_length: Smallest number of frames of a tracklet.
        max_gap: Longest gap in seconds within a tracklet.
        margin: Margin around a box, as a share of its width and height.
    """

    camera: int
    frame_rate: float | None = None
    min_score: float | None = None
    min_height: float = 32
    min_length: int = 8
    max_gap: float = 1.0
    margin: float = 0.0


_LOWEST = TrackletOptions(0, min_score=-math.inf, min_height=1, min_length=1, max_gap=0, margin=0)


def add_recording(
    video: StrPath, dataset: StrPath, source: BoxSource, options: TrackletOptions, name: str = ""
) -> dict[str, Any]:
    """Crops tracklets from a video and adds them to the gallery of a `tracklet_folder` dataset.

    Identities across tracklets are unknown, so each tracklet is a person. Below the dataset::

        gallery/<name>_0001/<camera>_<name>_0001/<name>_0001_000017.jpg    track 1, frame 17
        recordings/<name>.json             the video, the options, and the boxes of each tracklet
        recordings/<name>.detections.txt   detections of a detector, to reuse with other options
        recordings/<name>.tracks.txt       the tracklets as MOTChallenge's text; ids are the tracks
        recordings/<name>.moments/         a whole frame of the video for each tracklet
        recordings/<name>.sheet.html       a page to look through, with tracklets to doubt marked

    All of it appears once it is complete. A video that was added before is left as it is.

    Args:
        video: The video, or a folder of images, see `scan_video`.
        dataset: Folder of the dataset; created if missing.
        source: Where boxes come from.
        options: Which tracks become tracklets.
        name: Name of the recording; by default the video's.

    Returns:
        The recording's manifest.

    Raises:
        FileNotFoundError: If a file does not exist.
        FileExistsError: If the dataset has another recording of that name.
        NoTrackletsError: If no tracklet is left.
        RecordingInUseError: If another process is adding the same recording.
        ValueError: If a file or an option is invalid.
        ImportError: If the library that links detections is not installed.
        WeightsUnavailable: If the detector's weights are neither cached nor downloadable.
    """
    video, dataset = existing_video(video), Path(dataset).expanduser()
    options = _checked(options, source)
    name = recording_name(video, name)
    request = _request(video, source, options)
    if (dataset / "tracklets.csv").exists():
        raise ValueError(
            f"{dataset} holds tracklets.csv, which is read in place of folders: choose another."
        )
    final = dataset / RECORDINGS / f"{name}.json"
    with _workshop(dataset / f".{name}.partial") as workshop:
        if (workshop / MANIFEST).exists():  # of a call that was killed while it published
            _publish(workshop, dataset, name)
        if not final.exists():
            _check_free(dataset, name)
            claim_folder(workshop, {key: request[key] for key in ("video", "source")}, "recording")
            _make(workshop, video, source, options, name, request)
            _publish(workshop, dataset, name)
    manifest: dict[str, Any] = read_json(final)
    changed = [key for key in request if manifest[key] != request[key]]
    if changed:
        raise FileExistsError(
            f"{final} was made from another {', '.join(changed)}: give this recording another name "
            f"(name), or remove that file and the folders {dataset / GALLERY}/{name}_*."
        )
    return manifest


def _checked(options: TrackletOptions, source: BoxSource) -> TrackletOptions:
    if options.min_score is None:
        options = options._replace(min_score=default_min_score(source.detector))
    for name, lowest in _LOWEST._asdict().items():
        value = getattr(options, name)
        if lowest is not None and not lowest <= value < math.inf:
            raise ValueError(f"{name} is {value}, but must be a number from {lowest} on.")
    return options


def recording_name(video: StrPath, name: str = "") -> str:
    """Returns the name of a recording.

    Args:
        video: The video, or a folder of images.
        name: The name that is given; by default the video's.

    Raises:
        FileNotFoundError: If there is no such video.
        ValueError: If the name is no name of a recording.
    """
    if not name:
        video = existing_video(video)
        title = find_sequence(video).name if video.is_dir() else video.stem
        name = re.sub(r"[^\w.-]+", "_", title).strip(".")
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            f"The recording's name is {name!r}, but must consist of letters, digits, '_', '-' and "
            "'.', and begin with one of the first three."
        )
    return name


def _request(video: Path, source: BoxSource, options: TrackletOptions) -> dict[str, Any]:
    """Describes a recording by the content of its files, to recognise the same call again."""
    if source.weights and not source.detector:
        raise ValueError("weights belong to a detector: leave them out, or name a detector.")
    in_file = source.detector is not None and source.detector.endswith(ONNX)
    weights = source.detector if in_file else source.weights
    made_by: dict[str, str | float | None] = {"detector": ONNX if in_file else source.detector}
    for kind, path in (("detections", source.detections), ("weights", weights)):
        if path and not Path(path).is_file():
            raise FileNotFoundError(f"There is no file of {kind} {path}.")
        made_by[kind] = file_hash(path) if path else None
    if source.detector == HOG:
        made_by["min_height"] = options.min_height  # sets the size at which HOG sees frames
    return {"video": video_hash(video), "source": made_by, "options": options._asdict()}


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """Locks a working folder.

    After an error it is kept only if it holds detections or a complete recording; otherwise the
    folders that were made for it are removed as well.
    """
    made = [above for above in (folder, *folder.parents) if not above.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not try_lock(handle):
            raise RecordingInUseError(f"Another process is at work in {folder}.")
        try:
            yield folder
        except Exception:
            found = folder / DETECTIONS
            complete = (folder / MANIFEST).exists()  # a part may be in the dataset already
            if not complete and (not found.exists() or not found.stat().st_size):
                shutil.rmtree(folder)
                with suppress(OSError):  # another recording is in it
                    for above in made[1:]:
                        above.rmdir()
            raise
        shutil.rmtree(folder)
    finally:
        os.close(handle)


def _check_free(dataset: Path, name: str) -> None:
    taken = re.compile(rf"{re.escape(name)}_\d{{4,}}")
    gallery = dataset / GALLERY
    found = [p for p in subfolders(gallery) if taken.fullmatch(p.name)] if gallery.exists() else []
    if found:
        raise FileExistsError(
            f"{found[0]} exists, but not {RECORDINGS}/{name}.json, to which it would belong: "
            f"remove {name}_* from {gallery}, or give this recording another name (name)."
        )


def _make(
    workshop: Path,
    path: Path,
    source: BoxSource,
    options: TrackletOptions,
    name: str,
    request: dict[str, Any],
) -> None:
    """Makes a recording in the working folder and writes its manifest last."""
    assert options.min_score is not None  # by `_checked`
    finder = _finder(workshop, source, options)
    reading = Reading(path, options.frame_rate)
    cutting = Cutting(options.min_score, options.min_height, options.margin)
    crops = CropStore(workshop / _CROPS, cutting)
    crops.cut(reading, finder)
    video = Video.of(reading)
    boxes = usable(finder.all(video), video, options.min_height)
    if not boxes.linked:
        boxes = link(boxes, video, options.min_score, options.max_gap)
    tracks = long_enough(split_at_gaps(boxes, video, options.max_gap), options.min_length)
    folders = {}
    for number in np.unique(tracks.track).tolist():
        person = f"{name}_{number:04d}"
        folders[number] = Path(GALLERY, person, f"{options.camera}_{person}")
    for unfinished in (GALLERY, MOMENTS):
        shutil.rmtree(workshop / unfinished, ignore_errors=True)
    places = {number: workshop / folder for number, folder in folders.items()}
    shown = {
        workshop / MOMENTS / f"{folder.parent.name}{WHOLE_FRAME}": middle(
            tracks.frame[tracks.track == track]
        )
        for track, folder in folders.items()
    }
    crops.give(tracks, places, video.size)
    write_moments(video, shown)
    lines = (
        mot_line(frame, corners, score, track)
        for frame, track, corners, score in zip(
            tracks.frame.tolist(), tracks.track.tolist(), tracks.corners, tracks.score, strict=True
        )
    )
    write_text(workshop / TRACKS, "".join(lines))
    write_sheet(workshop / SHEET, name, tracks, video, places)
    manifest = {
        **request,
        "name": name,
        "file": path.name,
        "path": str(path),
        "frames": len(video.times),
        "announced_frames": video.announced,
        "frame_rate": round(video.frame_rate, 3),
        "size": video.size,
        "box": ["left", "top", "width", "height"],
        "versions": {"torchreid_occ": __version__, "opencv": cv2.__version__},
        "tracklets": {
            str(folder): _where(tracks[tracks.track == number], video)
            for number, folder in folders.items()
        },
    }
    write_text(workshop / MANIFEST, json.dumps(manifest, ensure_ascii=False) + "\n")


def _finder(workshop: Path, source: BoxSource, options: TrackletOptions) -> KnownBoxes:
    """Returns what gives the boxes of frames; checks all arguments before the long work."""
    if source.detections:
        boxes = read_mot(source.detections)
        if not boxes.linked:
            libraries()
        return KnownBoxes(boxes)
    if source.detector is None:
        raise ValueError("Name a file of detections or a detector.")
    libraries()
    detector = build_detector(source.detector, source.weights, options.min_height)
    return DetectedBoxes(detector, workshop / DETECTIONS)


def _where(track: Boxes, video: Video) -> dict[str, list[Any]]:
    """Returns the frames, times, boxes and scores of a tracklet, one value for each frame."""
    boxes = np.concatenate([track.corners[:, :2], track.corners[:, 2:] - track.corners[:, :2]], 1)
    return {
        "frames": track.frame.tolist(),
        "seconds": video.times[track.frame - 1].round(3).tolist(),
        "boxes": boxes.round(2).tolist(),
        "scores": track.score.round(4).tolist(),
    }


def _publish(workshop: Path, dataset: Path, name: str) -> None:
    """Moves a recording into the dataset, tracklet by tracklet, and its manifest last.

    What an earlier recording of that name left among the recordings, whose manifest was removed, is
    replaced.
    """
    for folder in (GALLERY, RECORDINGS):
        (dataset / folder).mkdir(exist_ok=True)
    for person in subfolders(workshop / GALLERY):
        person.rename(dataset / GALLERY / person.name)
    for file in (DETECTIONS, TRACKS, SHEET, MOMENTS):
        if (workshop / file).exists():
            place = dataset / RECORDINGS / f"{name}.{file}"
            if place.is_dir():
                shutil.rmtree(place)
            (workshop / file).rename(place)
    (workshop / MANIFEST).rename(dataset / RECORDINGS / f"{name}.json")
