"""Pictures of sightings: the person in the whole frame, and when each camera saw whom."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

from torchreid_occ.data.frame_strip import Picture, embedded
from torchreid_occ.data.images import read_image
from torchreid_occ.footage.manifest import RecordedTracklet
from torchreid_occ.search.sightings import Sighting

_WIDTH = 480  # pixels of a whole frame in a page
_NARROWEST = 0.04  # share of the timeline that a span takes, to be seen and read
_COLOUR, _AROUND = (255, 190, 0), (0, 0, 0)  # of the box, and of the lines beside it


class Span(NamedTuple):
    """When a match was seen, as shares of the longest time that a camera is shown for.

    Attributes:
        rank: Rank of the match.
        left: Where it begins.
        width: How long it is.
        lane: Line of the timeline, from 0: spans of one line do not overlap.
    """

    rank: int
    left: float
    width: float
    lane: int = 0


class CameraTimeline(NamedTuple):
    """The matches that one camera saw in one recording.

    Attributes:
        title: Camera and recording, with its dataset where two recordings share a name.
        spans: The matches, by time.
        lanes: Number of lines.
    """

    title: str
    spans: list[Span]
    lanes: int


def moment_picture(where: RecordedTracklet) -> Picture | None:
    """Draws the person's box into the whole frame; None if the frame was not kept.

    Args:
        where: The tracklet in its video.
    """
    if where.picture is None or where.pictured not in where.frames:
        return None
    frame = read_image(where.picture)
    frame.thumbnail((_WIDTH, _WIDTH), Image.Resampling.BICUBIC)
    scale = frame.width / where.size[0]
    box = where.boxes[where.frames.index(where.pictured)]
    left, top, width, height = (scale * value for value in box)
    draw = ImageDraw.Draw(frame)
    for grown, colour, wide in ((2, _AROUND, 4), (1, _COLOUR, 2)):
        right, low = left + width + grown, top + height + grown
        corners = (left - grown, top - grown, max(left, right), max(top, low))
        draw.rectangle(corners, outline=colour, width=wide)
    return embedded(frame, "JPEG", quality=88)


def video_link(where: RecordedTracklet) -> str | None:
    """Returns a link to the moment in the video file; None if the file is not there.

    Args:
        where: The tracklet in its video.
    """
    video = Path(where.video)
    if not video.is_absolute() or not video.is_file():
        return None
    return f"{video.as_uri()}#t={where.seconds[0]:g},{where.seconds[-1]:g}"


def timelines(found: Sequence[Sighting]) -> tuple[list[CameraTimeline], float]:
    """Returns when each camera saw the matches, and the seconds that the timelines are long.

    Matches without times are left out. The times are those of each recording, whose clocks may
    differ.

    Args:
        found: The sightings.
    """
    timed = [
        (one, one.match.tracklet.start, one.match.tracklet.end)
        for one in found
        if one.match.tracklet.start is not None and one.match.tracklet.end is not None
    ]
    longest = max((end for _, _, end in timed), default=0.0) or 1.0
    lines: dict[tuple[float, str, str], list[Span]] = {}
    for one, start, end in sorted(timed, key=lambda entry: entry[1]):
        camera = one.match.tracklet.camera
        recording = (one.where.recording, str(one.where.dataset)) if one.where else ("", "")
        key = (-1 if camera is None else camera, *recording)
        span = Span(one.rank, start / longest, (end - start) / longest)
        lines.setdefault(key, []).append(span)
    shared = Counter((camera, recording) for camera, recording, _ in lines)
    named = [
        CameraTimeline(
            _title(camera, recording, dataset if shared[camera, recording] > 1 else ""),
            *_in_lanes(spans),
        )
        for (camera, recording, dataset), spans in sorted(lines.items())
    ]
    return named, longest


def _in_lanes(spans: Sequence[Span]) -> tuple[list[Span], int]:
    """Gives spans, sorted by where they begin, lanes in which they do not overlap."""
    ends: list[float] = []
    placed = []
    for span in spans:
        lane = next((n for n, end in enumerate(ends) if end <= span.left), len(ends))
        ends[lane : lane + 1] = [span.left + max(span.width, _NARROWEST)]
        placed.append(span._replace(lane=lane))
    return placed, len(ends)


def _title(camera: float, recording: str, dataset: str) -> str:
    known = f"camera {camera}" if camera >= 0 else ""
    return " · ".join(part for part in (known, recording, dataset) if part) or "no camera"
