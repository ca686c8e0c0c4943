"""Occluders in front of the people of training clips, as an interface."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from PIL import Image

from torchreid_occ._types import Item
from torchreid_occ.data.supervision import Supervision


class RawClip(NamedTuple):
    """A clip as it was read.

    Attributes:
        frames: T images of any sizes.
        foregrounds: T grey images, None for a frame without; None if they are not wanted.
        pid: Identity.
        camid: Camera.
    """

    frames: Sequence[Image.Image]
    foregrounds: Sequence[Image.Image | None] | None
    pid: int
    camid: int


class ClipOccluder(Protocol):
    """Puts something in front of the people of some clips."""

    def __call__(self, clip: RawClip, seed: int) -> RawClip:
        """Returns a clip with something in front, or as it is.

        Args:
            clip: The clip.
            seed: Key of the random draws.
        """


class OccluderMaker(Protocol):
    """Makes a `ClipOccluder` of what is trained on."""

    def __call__(
        self, tracklets: Sequence[Item], supervision: Mapping[int, Supervision]
    ) -> ClipOccluder:
        """Returns the occluder.

        Args:
            tracklets: The training tracklets.
            supervision: Key points and foreground maps of each ``dsetid`` that has them.
        """
