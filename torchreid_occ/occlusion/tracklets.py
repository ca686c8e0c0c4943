"""Occludes a tracklet: draws occluders until they fulfil the protocol, and paints them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.occlusion.draws import keyed_rng
from torchreid_occ.occlusion.painting import (
    PaintedFrame,
    bounds_of,
    estimate_shares,
    on_grid,
    paint,
)
from torchreid_occ.occlusion.protocol import LEAST_HIDDEN, MOST_HIDDEN, Protocol
from torchreid_occ.occlusion.sources import Hidden, OccluderSource
from torchreid_occ.occlusion.sprites import Mask, Pixels, mean_colour

MAX_ATTEMPTS = 600
PATIENT = 300  # attempts after which occluders may stay longer than wanted


class OccludedFrame(NamedTuple):
    """A frame in which something hides a part of the person.

    Attributes:
        number: Its place in the tracklet.
        picture: The frame. Shape ``(H, W, 3)``.
        visible: What is seen of the person. Shape ``(H, W)``.
        share: How much of the person is hidden, 0 to 1.
        occluders: Names of what is in front.
    """

    number: int
    picture: Pixels
    visible: Mask
    share: float
    occluders: tuple[str, ...]


class Place(NamedTuple):
    """A tracklet's place in its dataset.

    Attributes:
        subset: 'train', 'query' or 'gallery'.
        number: Its number in the subset.
        pid: Identity.
        camid: Camera.
    """

    subset: str
    number: int
    pid: int
    camid: int

    def __str__(self) -> str:
        return f"{self.subset}/{self.number:05d}"


def occlude_tracklet(
    place: Place,
    frames: Sequence[Pixels],
    bodies: Sequence[Mask],
    num_occluded: int,
    source: OccluderSource,
    protocol: Protocol,
    seed: int,
) -> list[OccludedFrame]:
    """Occludes a tracklet, which depends only on the arguments and the version of the copies.

    Args:
        place: Its place in the dataset.
        frames: Its frames, of any sizes.
        bodies: Masks of the whole person in each.
        num_occluded: Number of frames to occlude.
        source: Where occluders come from.
        protocol: How much is to be hidden.
        seed: Seed of the copy.

    Raises:
        ValueError: If no occluders fulfil the protocol.
    """
    bounds = bounds_of(frames, bodies, keyed_rng(seed, SUBSETS.index(place.subset), place.number))
    light = mean_colour(frames)
    hidden = Hidden(place.pid, place.camid, place.subset, bounds, num_occluded, light)
    grid = on_grid(bodies)
    for attempt in range(MAX_ATTEMPTS):
        rng = keyed_rng(seed, SUBSETS.index(place.subset), place.number, 1 + attempt)
        longer = max(0, attempt - PATIENT) // 30
        occluders = source.draw(
            rng, hidden._replace(num_occluded=min(len(frames), num_occluded + longer))
        )
        wanted = _Wanted(num_occluded, len(frames), protocol, attempt)
        if not wanted.is_in(estimate_shares(grid, occluders), tolerance=0.03):
            continue
        painted = [
            _measured(frame, bodies[frame.number])
            for frame in paint(frames, bodies, occluders, light)
        ]
        shares = np.zeros(len(frames))
        shares[[frame.number for frame in painted]] = [frame.share for frame in painted]
        if wanted.is_in(shares):
            return painted
    raise ValueError(
        f"No occluders were found in {MAX_ATTEMPTS} attempts that hide {100 * LEAST_HIDDEN:.0f} to "
        f"{100 * MOST_HIDDEN:.0f} % of the person of tracklet {place} in {num_occluded} of its "
        f"{len(frames)} frames: look at its masks, and leave it out or correct them."
    )


def _measured(frame: PaintedFrame, body: Mask) -> OccludedFrame:
    visible = body & ~frame.covered
    share = 1 - int(visible.sum()) / int(body.sum())
    return OccludedFrame(frame.number, frame.picture, visible, share, frame.occluders)


class _Wanted(NamedTuple):
    """How much an attempt is to hide; the longer none succeeds, the more numbers of frames do."""

    num_occluded: int
    length: int
    protocol: Protocol
    attempt: int

    def is_in(self, shares: npt.NDArray[np.float64], tolerance: float = 0.0) -> bool:
        """Returns whether as much is hidden in as many frames as wanted."""
        clearly = int((shares >= LEAST_HIDDEN - tolerance).sum())
        touched = int((shares > 0).sum())
        slack = max(1, self.length // 10) + self.attempt // 50
        most = max(self.num_occluded, int(self.protocol.most_frames * self.length))
        return (
            clearly >= self.protocol.fewest(self.length)
            and abs(clearly - self.num_occluded) <= slack
            and touched <= most + slack
            and shares.max() <= MOST_HIDDEN + tolerance
        )
