"""Which tracklets of a copy are occluded, and in how many frames.

Reference: RFCnet, section 5 (Occluded-DukeMTMC-VideoReID).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.occlusion.draws import keyed_rng
from torchreid_occ.utils.checks import check_share

# Least and most of a person that the most hidden frame of a tracklet hides.
LEAST_HIDDEN, MOST_HIDDEN = 0.1, 0.8


@dataclass(frozen=True)
class Protocol:
    """How much of a dataset is occluded.

    Attributes:
        query: Share of the query tracklets that are occluded.
        gallery: Share of the gallery tracklets (the paper's is 69.0 %).
        train: Share of the training tracklets; the paper does not print its own.
        least_frames: Share of an occluded tracklet's frames that more than which are occluded.
        most_frames: Share of its frames that are occluded at most.
    """

    query: float = 1.0
    gallery: float = 0.69
    train: float = 0.55
    least_frames: float = 1 / 3
    most_frames: float = 0.75

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            check_share(name, value)
        if self.least_frames > self.most_frames:
            raise ValueError(
                f"Received least_frames={self.least_frames}, which is more than "
                f"most_frames={self.most_frames}."
            )

    def plain(self) -> dict[str, Any]:
        """Returns the shares by name."""
        return asdict(self)

    def fewest(self, length: int) -> int:
        """Returns how many frames of an occluded tracklet are occluded at least.

        Args:
            length: Number of its frames.
        """
        return min(length, int(self.least_frames * length + 1e-9) + 1)

    def occluded_frames(self, subset: str, lengths: Sequence[int], seed: int) -> list[int]:
        """Draws in how many frames each tracklet is occluded; 0 for one that is not.

        Args:
            subset: 'train', 'query' or 'gallery'.
            lengths: Number of frames of each tracklet.
            seed: Seed of the copy.
        """
        rng = keyed_rng(seed, SUBSETS.index(subset))
        share: float = getattr(self, subset)
        chosen = rng.permutation(len(lengths)) < round(share * len(lengths))
        numbers = [self.draw_number(length, rng) for length in lengths]
        return [
            number if is_chosen else 0
            for is_chosen, number in zip(chosen.tolist(), numbers, strict=True)
        ]

    def draw_number(self, length: int, rng: np.random.Generator) -> int:
        """Draws in how many of its frames a tracklet is occluded.

        Args:
            length: Number of its frames.
            rng: Random number generator.
        """
        number = round(float(rng.uniform(self.least_frames, self.most_frames)) * length)
        fewest = self.fewest(length)
        return min(max(number, fewest), max(int(self.most_frames * length), fewest))
