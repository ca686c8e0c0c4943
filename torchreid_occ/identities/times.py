"""Pairs of tracklets that cannot be one person, as nobody is in two places at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.footage.manifest import Recording, check_names
from torchreid_occ.search import GalleryTracklet
from torchreid_occ.utils.documents import read_json


class Travel(NamedTuple):
    """How long people take between cameras at least.

    Attributes:
        starts: Second at which each recording starts on a clock that all share, by its name.
        seconds: Shortest time between two cameras, by their numbers in ascending order.
    """

    starts: Mapping[str, float]
    seconds: Mapping[tuple[int, int], float]


def read_travel(path: StrPath) -> Travel:
    """Reads travel times from JSON: ``{"starts": {"gate": 0}, "seconds": [[1, 2, 30]]}``.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has another form.
    """
    content = read_json(path)
    try:
        starts = {str(name): float(second) for name, second in content["starts"].items()}
        seconds = {
            (min(int(one), int(other)), max(int(one), int(other))): float(least)
            for one, other, least in content["seconds"]
        }
        if set(content) != {"starts", "seconds"}:
            raise ValueError(f"its keys are {sorted(content)}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} holds no travel times ({error!r}), but expected "
            '{"starts": {recording: second}, "seconds": [[camera, camera, seconds], ...]}.'
        ) from error
    return Travel(starts, seconds)


def recording_of(tracklet: GalleryTracklet) -> Recording | None:
    """Returns the recording that a tracklet was cut out of; None if it is not known.

    Args:
        tracklet: The tracklet.
    """
    if tracklet.start is None or tracklet.end is None or not tracklet.frames:
        return None
    folder = Path(tracklet.frames[0]).parent  # gallery/<person>/<camera>_<recording>_<track>
    _, _, rest = folder.name.partition("_")
    name, _, track = rest.rpartition("_")
    dataset = folder.parents[min(2, len(folder.parents) - 1)]
    return (dataset, name) if name and track.isdigit() else None


def pairs_apart(
    tracklets: Sequence[GalleryTracklet], travel: Travel | None = None
) -> npt.NDArray[np.bool_]:
    """Returns which pairs are two people: seen at once by one camera, or too soon by another.

    Args:
        tracklets: The tracklets.
        travel: Travel times.

    Shape:
        Result: ``(N, N)``, symmetric.

    Raises:
        ValueError: If there are travel times, but a tracklet has no time or its recording no
            start, or two recordings share a name.
    """
    recordings = [recording_of(one) for one in tracklets]
    known = np.array([recording is not None for recording in recordings], bool)
    start, end = (
        np.array([np.nan if value is None else value for value in column], float)
        for column in (
            [one.start for one in tracklets],
            [one.end for one in tracklets],
        )
    )
    numbers = {recording: number for number, recording in enumerate(recordings)}
    own = np.array([numbers[recording] for recording in recordings], np.int64)
    cameras = np.array([-1 if one.camera is None else one.camera for one in tracklets])
    overlap = (start[:, None] <= end) & (start <= end[:, None])  # False where a time is NaN
    apart = overlap & (own[:, None] == own) & known[:, None] & known
    apart &= cameras[:, None] == cameras
    if travel is not None:
        clock = _starts(tracklets, recordings, travel)
        gap = np.maximum(
            (start + clock)[:, None] - (end + clock), (start + clock) - (end + clock)[:, None]
        )
        for (one, other), least in travel.seconds.items():
            between = (cameras[:, None] == one) & (cameras == other)
            apart |= (between | between.T) & (gap < least)
    np.fill_diagonal(apart, False)
    return apart


def _starts(
    tracklets: Sequence[GalleryTracklet],
    recordings: Sequence[Recording | None],
    travel: Travel,
) -> npt.NDArray[np.float64]:
    without: list[Any] = [
        one.name for one, own in zip(tracklets, recordings, strict=True) if own is None
    ]
    if without:
        raise ValueError(
            f"Travel times need the time of each tracklet, but {len(without)} of {len(tracklets)} "
            f"have none, such as {without[0]}: tracklets that are cut out of videos have one."
        )
    known = [recording for recording in recordings if recording is not None]
    check_names(known)
    unknown = sorted({name for _, name in known} - travel.starts.keys())
    if unknown:
        raise ValueError(f"The travel times lack the start of the recordings {', '.join(unknown)}.")
    return np.array([travel.starts[name] for _, name in known])
