"""Matches of a search with what is known of them now: their moment in a video, and their frames."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torchreid_occ.footage.manifest import RecordedTracklet, recorded_tracklet
from torchreid_occ.search.contents import State, state_of
from torchreid_occ.search.protocol import Match


class Sighting(NamedTuple):
    """A match, and what is known of it now.

    Attributes:
        rank: Rank of the match, from 1.
        match: The match.
        state: What its frames are now.
        where: Its video, frames, times and boxes, if it was cut out of a video.
    """

    rank: int
    match: Match
    state: State
    where: RecordedTracklet | None


def sightings(matches: Sequence[Match]) -> list[Sighting]:
    """Looks up the state and the moments of matches.

    Args:
        matches: The matches, nearest first.
    """
    return [
        Sighting(rank, match, state_of(match.tracklet), moment_of(Path(match.tracklet.frames[0])))
        for rank, match in enumerate(matches, start=1)
    ]


def moment_of(frame: Path) -> RecordedTracklet | None:
    """Returns where a tracklet is in its video; None, with a warning, if its manifest is damaged.

    Args:
        frame: A frame of the tracklet.
    """
    try:
        return recorded_tracklet(frame.parent)
    except ValueError as error:  # the answer itself does not need it
        warnings.warn(f"The moment in the video is not known: {error}", stacklevel=3)
        return None
