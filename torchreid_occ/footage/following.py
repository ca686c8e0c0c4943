"""Follows a person from a box in one frame of a video, by detections or tracks."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from torchreid_occ.footage.boxes import UNLINKED, Boxes, boxes_from_rows
from torchreid_occ.footage.detectors import Detector
from torchreid_occ.footage.linking import link
from torchreid_occ.footage.tracks import usable
from torchreid_occ.footage.video import Video, read_frames
from torchreid_occ.utils.progress import progress

_MIN_OVERLAP = 0.3  # intersection over union of the given box with the person's
_MAX_GAP = 1.0  # seconds, as for the tracklets of a recording


def follow(
    video: Video, boxes: Boxes, corners: Sequence[float], frame: int, min_score: float
) -> Boxes:
    """Returns the boxes of the person whose box in a frame overlaps a given one most.

    Args:
        video: The video.
        boxes: Detections, which are linked, or tracks.
        corners: Left, top, right and bottom of the given box in pixels.
        frame: Number of its frame, from 1.
        min_score: See `link`; the given box stands for such a score.

    Raises:
        ValueError: If the video has no such frame, or no box in it overlaps the given one by 0.3
            (intersection over union).
    """
    if not 1 <= frame <= len(video.times):
        raise ValueError(f"The frame is {frame}, but {video.path} has 1 to {len(video.times)}.")
    boxes = usable(boxes, video, min_height=1)
    chosen = _nearest(boxes, corners, frame)
    if boxes.linked:
        return boxes[boxes.track == boxes.track[chosen]]
    score = boxes.score.copy()
    score[chosen] = max(score[chosen], min_score)
    boxes = boxes.with_(score=score)
    tracks = link(boxes, video, min_score, _MAX_GAP)
    person = boxes[chosen : chosen + 1]
    own = _track_of(person, tracks, video)
    if own == UNLINKED:
        return person
    track = tracks[tracks.track == own]
    if track.frame[0] <= frame:
        return track
    return Boxes(  # a track begins with its second detection; this one is its first
        np.append(person.frame, track.frame),
        np.append(np.array([own]), track.track),
        np.append(person.corners, track.corners, axis=0),
        np.append(person.score, track.score),
    )


def detect_in_span(video: Video, detector: Detector, span: tuple[int, int] | None) -> Boxes:
    """Detects people in some frames of a video.

    Args:
        video: The video.
        detector: Function from a frame to corners and scores.
        span: First and last frame, counted from 1; all frames if None.

    Raises:
        ValueError: If no person is found.
    """
    first, last = span or (1, len(video.times))
    last = min(last, len(video.times))
    rows: list[tuple[float, ...]] = []
    frames = read_frames(video, first)
    for number, frame in progress(frames, "detecting", last - first + 1, "frame"):
        found = zip(*detector(frame), strict=True)
        rows += [(number, UNLINKED, *map(float, box), float(score)) for box, score in found]
        if number >= last:
            break
    if not rows:
        raise ValueError(f"No person was found in frames {first} to {last} of {video.path}.")
    return boxes_from_rows(rows)


def _nearest(boxes: Boxes, corners: Sequence[float], frame: int) -> int:
    """Returns the row of a frame's box that overlaps a given one most."""
    rows = np.flatnonzero(boxes.frame == frame)
    overlaps = _overlaps(boxes.corners[rows], corners)
    if not (overlaps >= _MIN_OVERLAP).any():
        there = "; ".join(
            f"{left:g} {top:g} {right - left:g} {bottom - top:g}"
            for left, top, right, bottom in boxes.corners[rows].round(1)[:8].tolist()
        )
        raise ValueError(
            f"No box of frame {frame} overlaps the given one by {_MIN_OVERLAP:.0%} (intersection "
            f"over union); it has (left, top, width, height): {there or 'none'}."
        )
    return int(rows[overlaps.argmax()])


def _track_of(person: Boxes, tracks: Boxes, video: Video) -> int:
    """Returns the track that a detection belongs to or begins; -1 if it is alone."""
    same = (tracks.frame == person.frame[0]) & (tracks.corners == person.corners[0]).all(axis=1)
    if same.any():
        return int(tracks.track[same][0])
    numbers, begins = np.unique(tracks.track, return_index=True)
    after = tracks.frame[begins] - person.frame[0]
    overlaps = _overlaps(tracks.corners[begins], person.corners[0])
    later = (after > 0) & (after <= video.frames_within(_MAX_GAP)) & (overlaps >= _MIN_OVERLAP)
    if not later.any():
        return UNLINKED
    return int(numbers[np.where(later, overlaps, -1).argmax()])


def _overlaps(
    boxes: npt.NDArray[np.float64], box: Sequence[float] | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Returns the intersection over union of boxes with one box."""
    one = np.asarray(box, np.float64)
    low, high = np.maximum(boxes[:, :2], one[:2]), np.minimum(boxes[:, 2:], one[2:])
    shared = (high - low).clip(0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + max(0.0, float((one[2:] - one[:2]).prod()))
    overlaps: npt.NDArray[np.float64] = shared / np.maximum(areas - shared, 1e-9)
    return overlaps
