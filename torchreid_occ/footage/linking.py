"""Links detections over time by ByteTrack, as the library `trackers` implements it."""

from types import ModuleType

import numpy as np
import numpy.typing as npt

from torchreid_occ.footage.boxes import UNLINKED, Boxes, NoTrackletsError
from torchreid_occ.footage.video import Video
from torchreid_occ.utils.dependencies import import_optional

_REFERENCE_RATE = 30  # frames per second in which the library counts its buffer
# SORT's value, above the library's default 0.1: two tracklets of one person harm re-identification
# less than two people in one tracklet.
_MIN_OVERLAP = 0.3
# The paper's lower threshold: detections below it are background. The library has none and would
# continue tracks with them.
_LOWEST_SCORE = 0.1
# Seconds for which a person's motion is extrapolated after a frame: when the camera stalls for
# longer, noise in the velocity of someone who stands still would move the box away.
_LONGEST_MOTION = 1.0


def libraries() -> list[ModuleType]:
    """Imports the libraries that link detections.

    Raises:
        ImportError: If one is not installed; says what to install.
    """
    return import_optional("trackers", "supervision", extra="footage")


def lowest_score(min_score: float) -> float:
    """Returns the lowest score of a detection that may belong to a track.

    Args:
        min_score: Lowest score of a detection that starts a track.
    """
    return min(min_score, _LOWEST_SCORE)


def link(detections: Boxes, video: Video, min_score: float, max_gap: float) -> Boxes:
    """Links the detections of each person over frames by motion and overlap.

    ByteTrack (Zhang et al., ECCV 2022) suits partly occluded people: their low-scoring detections
    can continue a track, although they cannot start one; those below 0.1, the paper's threshold,
    are left out. Appearance is not used. A track begins with its second detection, which confirms
    the first.

    Args:
        detections: Boxes without tracks.
        video: The video of the detections; its times bound how far people may have moved.
        min_score: Lowest score of a detection that starts a track.
        max_gap: Seconds from a detection to the next of its track, at most; see
            `Video.frames_within`.

    Returns:
        The detections that belong to a track; track ids count from 1.

    Raises:
        ImportError: If the library is not installed.
        NoTrackletsError: If no detection belongs to a track.
    """
    if (detections.score < min_score).all():
        low, high = detections.score.min(), detections.score.max()
        raise NoTrackletsError(
            f"No detection starts a track, which takes a score of {min_score:g} (min_score): "
            f"they score {low:g} to {high:g}."
        )
    trackers, roboflow = libraries()
    tracker = trackers.ByteTrackTracker(
        lost_track_buffer=round(max_gap * _REFERENCE_RATE),
        frame_rate=video.frame_rate,
        track_activation_threshold=min_score,
        high_conf_det_threshold=min_score,
        minimum_iou_threshold=_MIN_OVERLAP,
        minimum_consecutive_frames=1,
    )
    track = np.full(len(detections), UNLINKED)
    ends = np.searchsorted(detections.frame, np.arange(1, len(video.times) + 2))
    strong = detections.score >= lowest_score(min_score)
    times = _without_stalls(video)
    reach = _reach(times, video.frames_within(max_gap))
    for number, time in enumerate(times):
        rows = np.arange(ends[number], ends[number + 1])
        rows = rows[strong[rows]]
        tracker.maximum_time_without_update = reach[number]
        found = roboflow.Detections(
            xyxy=detections.corners[rows],
            confidence=detections.score[rows],
            data={"row": rows},  # the library returns detections in another order
        )
        found = tracker.update(found, timestamp=float(time))
        if len(found):
            track[found.data["row"]] = found.tracker_id
    if (track == UNLINKED).all():
        raise NoTrackletsError(
            f"None of {len(detections)} detections is followed within {max_gap:g} s (max_gap) by "
            f"one that overlaps it by {_MIN_OVERLAP:.0%}: check that they belong to this video and "
            "cover every frame."
        )
    return detections.with_(track=track + (track != UNLINKED))[track != UNLINKED]


def _without_stalls(video: Video) -> npt.NDArray[np.float64]:
    """Returns the times of the frames, with stalls of the camera shortened."""
    steps = np.diff(video.times)
    longest = max(_LONGEST_MOTION, 1 / video.frame_rate)
    if (steps <= longest).all():
        return video.times
    return np.concatenate([[0.0], np.cumsum(np.minimum(steps, longest))])


def _reach(times: npt.NDArray[np.float64], frames: int) -> npt.NDArray[np.float64]:
    """Returns how many seconds before each frame a track may have been seen last.

    That is halfway between the earliest frame that counts, `frames` before, and the one before it.
    """
    reach = np.full(len(times), np.inf)
    reach[frames + 1 :] = times[frames + 1 :] - (times[: -frames - 1] + times[1:-frames]) / 2
    return reach
