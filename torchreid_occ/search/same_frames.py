"""Recognises tracklets that hold frames of a query, which are no answer to where else it was."""

import filecmp
import os
from pathlib import Path

import numpy as np

from torchreid_occ.search.protocol import Match
from torchreid_occ.search.query import SearchQuery, Seen
from torchreid_occ.search.sightings import moment_of

_SAME = 1e-3  # distance of a tracklet that may hold copies of the query's frames
_OVERLAP = 0.5  # intersection over union of two boxes of one person in one frame


class KnownFrames:
    """The frames of a query: paths of images, which may be copied, or boxes in a video.

    A single image is another's by its path alone: it may be a copy that was made to search with.

    Args:
        query: The query.
    """

    def __init__(self, query: SearchQuery) -> None:
        paths = [frame for frame in query.frames if isinstance(frame, (str, os.PathLike))]
        self._paths = {os.path.realpath(path) for path in paths}
        self._seen = query.seen

    def hold(self, match: Match) -> bool:
        """Returns whether a tracklet holds frames of the query.

        Args:
            match: The tracklet.
        """
        frames = match.tracklet.frames
        if any(os.path.realpath(frame) in self._paths for frame in frames):
            return True
        if self._seen is not None:
            return _is_of(self._seen, Path(frames[0]))
        return match.distance < _SAME and len(self._paths) > 1 and self._is_copied(frames[0])

    def _is_copied(self, frame: str) -> bool:
        try:
            size = Path(frame).stat().st_size
            alike = (path for path in self._paths if Path(path).stat().st_size == size)
            return any(filecmp.cmp(frame, path, shallow=False) for path in alike)
        except OSError:  # the gallery's frames have moved
            return False


def _is_of(seen: Seen, frame: Path) -> bool:
    """Returns whether a tracklet was cut out of the query's video around the same person."""
    where = moment_of(frame)
    if where is None or where.video != str(seen.video):
        return False
    own = dict(zip(where.frames, where.boxes, strict=True))
    pairs = [
        (own[number], box)
        for number, box in zip(seen.frames, seen.boxes, strict=True)
        if number in own
    ]
    if not pairs:
        return False
    first, second = np.swapaxes(np.array(pairs), 0, 1)
    low = np.maximum(first[:, :2], second[:, :2])
    high = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    shared = (high - low).clip(0).prod(1)
    together = first[:, 2:].prod(1) + second[:, 2:].prod(1) - shared
    return bool((shared >= _OVERLAP * together).mean() >= 0.5)
