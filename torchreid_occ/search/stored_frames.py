"""Rows of stored tracklets: the frames are one text that states their common prefix once."""

import json
import os
from collections.abc import Sequence

from torchreid_occ.search.tracklets import GalleryTracklet


def frames_text(frames: Sequence[str]) -> str:
    """Formats paths as JSON that states their common prefix once.

    Args:
        frames: The paths.
    """
    shared = os.path.commonprefix(frames)  # noqa: RUF071  it need not be a folder
    return json.dumps([shared, [frame[len(shared) :] for frame in frames]])


def tracklet_of_row(
    number: int, name: str, camera: int | None, start: float | None, end: float | None, frames: str,
    stamp: str | None, content: str | None,
) -> tuple[int, GalleryTracklet]:  # fmt: skip
    """Returns the id and the tracklet of a row.

    Args:
        number: The id.
        name: See `GalleryTracklet`.
        camera: Likewise.
        start: Likewise.
        end: Likewise.
        frames: Text of `frames_text`.
        stamp: See `GalleryTracklet`.
        content: Likewise.
    """
    shared, rests = json.loads(frames)
    paths = tuple(shared + rest for rest in rests)
    return number, GalleryTracklet(name, paths, camera, start, end, stamp, content)
