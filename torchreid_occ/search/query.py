"""Queries of a search: a folder of frames, a crop of an image, a track or a box in a video."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import IMAGE_SUFFIXES, list_frames, subfolders
from torchreid_occ.data.frames import Frame, frames_of
from torchreid_occ.data.images import read_image
from torchreid_occ.footage.boxes import Boxes, boxes_from_rows, read_mot
from torchreid_occ.footage.detectors import build_detector, default_min_score
from torchreid_occ.footage.following import detect_in_span, follow
from torchreid_occ.footage.tracks import usable
from torchreid_occ.footage.video import Video, read_frames, scan_video


class Seen(NamedTuple):
    """Where a query is in a video.

    Attributes:
        video: The absolute path of the video.
        frames: Numbers of the frames, from 1.
        boxes: Left, top, width and height of the person in them, in pixels.
    """

    video: Path
    frames: Sequence[int]
    boxes: Sequence[Sequence[float]]


class SearchQuery(NamedTuple):
    """A tracklet to search for.

    Attributes:
        title: Description of the query, for results.
        frames: Frames in temporal order.
        parts: The frames by tracklet, where there are several of one person; else empty.
        seen: Where it is in a video, if it comes from one.
    """

    title: str
    frames: Sequence[Frame]
    parts: Sequence[Sequence[Frame]] = ()
    seen: Seen | None = None


def build_query(
    *,
    folder: StrPath | None = None,
    image: StrPath | None = None,
    video: StrPath | None = None,
    box: Sequence[float] | None = None,
    tracks: StrPath | None = None,
    track: int | None = None,
    span: tuple[int, int] | None = None,
    frame: int | None = None,
    detector: str | None = None,
    weights: StrPath | None = None,
) -> SearchQuery:
    """Builds a query from the arguments of one of the functions below.

    Args:
        folder: See `folder_query`.
        image: See `image_query`.
        video: See `track_query`, `box_query` and `follow_query`.
        box: Left, top, width and height of the person in pixels.
        tracks: See `track_query` and `follow_query`.
        track: See `track_query`.
        span: First and last frame of the video, counted from 1.
        frame: See `follow_query`. If None, the box is in the first frame of the span, and a span of
            one frame bounds nothing.
        detector: See `follow_query`.
        weights: Likewise.

    Raises:
        ValueError: If these arguments do not belong together.
    """
    arguments: dict[str, object] = {"folder": folder, "image": image, "video": video, "box": box}
    arguments |= {"tracks": tracks, "track": track, "span": span, "frame": frame}
    arguments |= {"detector": detector, "weights": weights}
    given = {name for name, value in arguments.items() if value is not None}
    if folder is not None and given == {"folder"}:
        return folder_query(folder)
    if image is not None and given <= {"image", "box"}:
        return image_query(image, box)
    if video is not None and given - {"span"} == {"video", "tracks", "track"}:
        assert tracks is not None and track is not None
        return track_query(video, tracks, track, span)
    if video is not None and given == {"video", "box", "span"}:
        assert box is not None and span is not None
        return box_query(video, box, span)
    follows = given - {"span", "frame"}
    sources = ({"tracks"}, {"detector"}, {"detector", "weights"})
    placed = frame is not None or span is not None
    if video is not None and placed and follows in [{"video", "box"} | one for one in sources]:
        assert box is not None
        if frame is None:
            assert span is not None
            frame, span = span[0], span if span[0] != span[1] else None
        return follow_query(
            video, box, frame, tracks=tracks, detector=detector, weights=weights, span=span
        )
    raise ValueError(
        "These arguments do not belong together: a folder stands alone, an image may have a box, "
        "and a video has tracks, a track and optionally a span, or a box and a span, or a box, the "
        "frame in which it is, and either a file of boxes (tracks) or a detector."
    )


def folder_query(folder: StrPath) -> SearchQuery:
    """Returns all frames of a tracklet's folder, or of the tracklets in the folder of a person.

    Args:
        folder: The folder of a tracklet, or one whose subfolders are tracklets of one person.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If neither it nor its subfolders hold images; names those further below.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir() or list_frames(folder):
        return SearchQuery(str(folder), [*frames_of(folder)])
    below = {own: frames for own in subfolders(folder) if (frames := list_frames(own))}
    if not below:
        deeper = [str(path.parent) for path in sorted(folder.glob("*/*/*")) if _is_frame(path)]
        found = [*dict.fromkeys(deeper)][:3]
        hint = f"name one of the tracklets below it, such as {', '.join(found)}." if found else ""
        raise ValueError(
            f"Neither {folder} nor its subfolders hold images ({', '.join(IMAGE_SUFFIXES)})"
            f"{': ' if hint else '.'}{hint}"
        )
    names = ", ".join(own.name for own in below)
    parts = [*below.values()] if len(below) > 1 else []
    joined = [frame for part in below.values() for frame in part]
    return SearchQuery(f"{folder}: {names}", joined, parts)


def _is_frame(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def image_query(path: StrPath, box: Sequence[float] | None = None) -> SearchQuery:
    """Returns an image of a person, or a crop of it.

    Args:
        path: The image.
        box: Left, top, width and height of the person in pixels; the whole image if None.

    Raises:
        ValueError: If the box has no area in the image.
    """
    image = read_image(str(path))
    if box is None:
        return SearchQuery(str(path), [str(path)])
    return SearchQuery(f"{path}, box {shown_box(box)}", [crop(np.asarray(image), box, path)])


def track_query(
    video: StrPath, tracks: StrPath, track: int, span: tuple[int, int] | None = None
) -> SearchQuery:
    """Returns the crops of a track in a video.

    Args:
        video: The video.
        tracks: File of tracks in MOTChallenge's format.
        track: Id of the track.
        span: First and last frame to take, counted from 1; the whole track if None.

    Raises:
        ValueError: If there is no such track, or the track has no box in these frames.
    """
    boxes = read_mot(tracks)
    if not boxes.linked:
        raise ValueError(
            f"{tracks} holds detections without ids, and so no track {track}: name a box and the "
            "frame it is in, to follow that person."
        )
    own = boxes[boxes.track == track]
    if not len(own):
        known = ", ".join(map(str, np.unique(boxes.track)[:10]))
        raise ValueError(f"{tracks} has no track {track}; the first it has are {known}.")
    if span is not None:
        first, last = span
        inside = own[(own.frame >= first) & (own.frame <= last)]
        if not len(inside):
            raise ValueError(
                f"Track {track} of {tracks} is in frames {own.frame[0]} to {own.frame[-1]}, none "
                f"of which is in {first} to {last}."
            )
        own = inside
    return _in_video(f"{video}, track {track}, {_frames(own)}", scan_video(video), own)


def box_query(video: StrPath, box: Sequence[float], span: tuple[int, int]) -> SearchQuery:
    """Returns the crops of a fixed box in several frames of a video.

    Args:
        video: The video.
        box: Left, top, width and height in pixels.
        span: First and last frame, counted from 1.

    Raises:
        ValueError: If the span is empty or the box has no area in the frames.
    """
    first, last = span
    if not 1 <= first <= last:
        raise ValueError(f"The frames are {first} to {last}, but must count up from 1 or later.")
    left, top, width, height = box
    corners = left, top, left + width, top + height
    boxes = boxes_from_rows((number, 1, *corners, 1) for number in range(first, last + 1))
    title = f"{video}, box {shown_box(box)}, {_frames(boxes)}"
    return _in_video(title, scan_video(video), boxes)


def follow_query(
    video: StrPath,
    box: Sequence[float],
    frame: int,
    *,
    tracks: StrPath | None = None,
    detector: str | None = None,
    weights: StrPath | None = None,
    span: tuple[int, int] | None = None,
) -> SearchQuery:
    """Returns the crops of the person in a box of one frame, followed before and after it.

    Args:
        video: The video.
        box: Left, top, width and height of the person in pixels.
        frame: Number of the frame, from 1.
        tracks: File of detections, which are linked, or of tracks in MOTChallenge's format.
        detector: Name of a detector in place of such a file, see `build_detector`.
        weights: File of weights for the detector.
        span: First and last frame to take, counted from 1; all if None. The detector runs in these.

    Raises:
        ValueError: If no box of the frame is near, or the frame is not in the span.
    """
    first, last = span or (1, frame)
    if not 1 <= first <= frame <= last:
        raise ValueError(f"The box is in frame {frame}, which is not in {first} to {last}.")
    left, top, width, height = box
    if tracks is not None:
        boxes, scanned = read_mot(tracks), scan_video(video)
    else:
        assert detector is not None
        finder = build_detector(detector, weights, min_height=height)
        scanned = scan_video(video)
        boxes = detect_in_span(scanned, finder, span)
    corners = left, top, left + width, top + height
    own = follow(scanned, boxes, corners, frame, default_min_score(detector))
    if span is not None:
        own = own[(own.frame >= first) & (own.frame <= last)]
    title = f"{video}, box {shown_box(box)} of frame {frame}, followed in {_frames(own)}"
    return _in_video(title, scanned, own)


def _in_video(title: str, video: Video, boxes: Boxes) -> SearchQuery:
    left_top, right_low = boxes.corners[:, :2], boxes.corners[:, 2:]
    sides = np.concatenate([left_top, right_low - left_top], axis=1)
    seen = Seen(video.path, boxes.frame.tolist(), sides.tolist())
    return SearchQuery(title, _crops(video, boxes), seen=seen)


def _crops(video: Video, boxes: Boxes) -> list[npt.NDArray[np.uint8]]:
    """Returns the RGB crops of a track."""
    boxes = usable(boxes, video, min_height=1)
    corners = dict(zip(boxes.frame.tolist(), boxes.corners, strict=True))
    crops = []
    for number, frame in read_frames(video, int(boxes.frame[0])):
        if number in corners:
            crops.append(_crop(frame[..., ::-1], corners[number], video.path))
        if len(crops) == len(boxes):
            break
    return crops


def crop(
    pixels: npt.NDArray[np.uint8], box: Sequence[float], path: StrPath
) -> npt.NDArray[np.uint8]:
    """Cuts a box out of an image.

    Args:
        pixels: The image.
        box: Left, top, width and height in pixels.
        path: Where the image comes from, for the error.

    Shape:
        pixels: ``(H, W, 3)``.

    Raises:
        ValueError: If the box has no area in the image.
    """
    if not np.isfinite(box).all():
        raise ValueError(f"The box is {shown_box(box)}, but must be of finite numbers.")
    left, top, width, height = box
    size = pixels.shape[1::-1]
    corners = np.clip([left, top, left + width, top + height], 0, [*size, *size])
    return _crop(pixels, corners, path)


def _crop(
    frame: npt.NDArray[np.uint8], corners: npt.NDArray[np.floating[Any]], path: StrPath
) -> npt.NDArray[np.uint8]:
    left, top = np.floor(corners[:2]).astype(int)
    right, bottom = np.ceil(corners[2:]).astype(int)
    crop = frame[top:bottom, left:right]
    if not crop.size:
        raise ValueError(f"The box has no area inside {path}.")
    return np.ascontiguousarray(crop)


def shown_box(box: Sequence[float]) -> str:
    """Formats a box for a title.

    Args:
        box: Left, top, width and height.
    """
    return ",".join(f"{number:g}" for number in box)


def _frames(boxes: Boxes) -> str:
    return f"frames {boxes.frame[0]} to {boxes.frame[-1]}"
