"""What is searched for: a folder of frames, a crop of an image, or a box followed in a video."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from torchreid_occ._types import StrPath
from torchreid_occ.data.frames import frames_of
from torchreid_occ.data.images import read_image
from torchreid_occ.footage.boxes import Boxes, boxes_from_rows, read_mot
from torchreid_occ.footage.tracks import usable
from torchreid_occ.footage.video import read_frames, scan_video

BOX = "left, top, width and height in pixels"


class SearchQuery(NamedTuple):
    """A tracklet to search for."""

    title: str
    frames: Sequence[str | np.ndarray]  # as a ``TrackletExtractor`` takes them


def build_query(
    *,
    folder: StrPath | None = None,
    image: StrPath | None = None,
    video: StrPath | None = None,
    box: Sequence[float] | None = None,
    tracks: StrPath | None = None,
    track: int | None = None,
    span: tuple[int, int] | None = None,
) -> SearchQuery:
    """Builds a query from the arguments of one of the functions below.

    Args:
        folder: See `folder_query`.
        image: See `image_query`.
        video: See `track_query` and `box_query`.
        box: Left, top, width and height of the person in pixels.
        tracks: See `track_query`.
        track: Likewise.
        span: First and last frame of the video, counted from 1.

    Raises:
        ValueError: If these arguments do not belong together.
    """
    if folder is not None and image is video is box is tracks is track is span is None:
        return folder_query(folder)
    if image is not None and folder is video is tracks is track is span is None:
        return image_query(image, box)
    if video is not None and folder is image is None:
        if tracks is not None and track is not None and box is None:
            return track_query(video, tracks, track, span)
        if box is not None and span is not None and tracks is track is None:
            return box_query(video, box, span)
    raise ValueError(
        "These arguments do not belong together: a folder stands alone, an image may have a box, "
        "and a video has tracks, a track and optionally a span, or a box and a span."
    )


def folder_query(folder: StrPath) -> SearchQuery:
    """Returns all frames of a tracklet's folder.

    Args:
        folder: The folder.
    """
    return SearchQuery(str(folder), frames_of(folder))


def image_query(path: StrPath, box: Sequence[float] | None = None) -> SearchQuery:
    """An image of one person.

    Args:
        path: The image.
        box: Where the person is, if not all over the image: left, top, width and height in pixels.

    Raises:
        ValueError: If the box has no area in the image.
    """
    image = read_image(str(path))
    if box is None:
        return SearchQuery(str(path), [str(path)])
    left, top, width, height = box
    corners = np.clip([left, top, left + width, top + height], 0, [*image.size, *image.size])
    return SearchQuery(f"{path}, box {_shown(box)}", [_cut(np.asarray(image), corners, path)])


def track_query(
    video: StrPath, tracks: StrPath, track: int, span: tuple[int, int] | None = None
) -> SearchQuery:
    """A track in a video.

    Args:
        video: The video.
        tracks: Tracks in MOTChallenge's format.
        track: Which of them.
        span: First and last frame to take, counted from 1; all of the track if None.

    Raises:
        ValueError: If there is no such track, or nothing of it in these frames.
    """
    boxes = read_mot(tracks)
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
    return SearchQuery(f"{video}, track {track}, {_frames(own)}", _crops(video, own))


def box_query(video: StrPath, box: Sequence[float], span: tuple[int, int]) -> SearchQuery:
    """A box that stays where it is in a span of a video.

    Args:
        video: The video.
        box: Its left, top, width and height in pixels.
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
    return SearchQuery(f"{video}, box {_shown(box)}, {_frames(boxes)}", _crops(video, boxes))


def _crops(path, boxes: Boxes):
    """What a track shows, in RGB."""
    video = scan_video(path)
    boxes = usable(boxes, video, min_height=1)
    corners = dict(zip(boxes.frame.tolist(), boxes.corners, strict=True))
    crops = []
    for number, frame in read_frames(video, int(boxes.frame[0])):
        if number in corners:
            crops.append(_cut(frame[..., ::-1], corners[number], path))
        if len(crops) == len(boxes):
            break
    return crops


def _cut(frame, corners, path):
    left, top = np.floor(corners[:2]).astype(int)
    right, bottom = np.ceil(corners[2:]).astype(int)
    crop = frame[top:bottom, left:right]
    if not crop.size:
        raise ValueError(f"The box has no area inside {path}.")
    return np.ascontiguousarray(crop)


def _shown(box):
    return ",".join(f"{number:g}" for number in box)


def _frames(boxes):
    return f"frames {boxes.frame[0]} to {boxes.frame[-1]}"
