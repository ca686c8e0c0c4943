"""The protocol: the tracklets of a rendering and how many of their frames are occluded.

Reference: RFCnet, section 5 (Occluded-DukeMTMC-VideoReID), Tables 1 to 3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from torchreid_occ.occwalk.keys import keyed_rng
from torchreid_occ.occwalk.presets import Preset

SPLITS = ("train", "query", "gallery")
# Table 1: edges of the fraction of occluded frames, and the share of tracklets between them; the
# first share is that of tracklets without any. The query's shares, as printed, add up to 0.96.
FRACTION_EDGES = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TRACKLET_SHARES = {
    "query": (0.0, 0.0, 0.011, 0.021, 0.040, 0.084, 0.138, 0.332, 0.334),
    "gallery": (0.310, 0.243, 0.013, 0.014, 0.020, 0.036, 0.059, 0.124, 0.181),
    # Not published for the training set; here 55 % of its tracklets have occluded frames.
    "train": (0.45, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.1, 0.1),
}


@dataclass(frozen=True)
class TrackletSpec:
    """One tracklet before it is rendered.

    Attributes:
        uid: Number of the tracklet in the rendering.
        split: "train", "query" or "gallery".
        pid: Number of the person on disk, from 1.
        number: Number of the tracklet within its person's folder, from 1.
        group: Group of people the identity is drawn from.
        index: Number of the identity in its group.
        camid: Number of the camera, from 0.
        num_frames: Number of frames.
        num_occluded: Number of occluded frames.
        first_frame: Number of its first frame; frames are numbered across tracklets.
    """

    uid: int
    split: str
    pid: int
    number: int
    group: str
    index: int
    camid: int
    num_frames: int
    num_occluded: int
    first_frame: int

    @property
    def folder(self) -> str:
        """Its folder below the rendering, as in DukeMTMC-VideoReID."""
        return f"{self.split}/{self.pid:04d}/{self.number:04d}"

    @property
    def stems(self) -> list[str]:
        """File names of its frames without extension, as in DukeMTMC-VideoReID."""
        return [
            f"{self.pid:04d}_C{self.camid + 1}_F{frame + 1:04d}_X{self.first_frame + frame:06d}"
            for frame in range(self.num_frames)
        ]


def list_tracklets(preset: Preset, seed: int) -> list[TrackletSpec]:
    """Lists the tracklets of a rendering, in the order of its folders.

    A query is not part of the gallery. The gallery has its person in the query's camera, which
    evaluation leaves out, and in all other cameras that the person passes.
    """
    specs: list[TrackletSpec] = []
    for split in SPLITS:
        rng = keyed_rng(seed, "protocol", preset.name, split)
        places = list(_places(preset, seed, split, rng))
        lengths = rng.integers(preset.frames[0], preset.frames[1] + 1, len(places)).tolist()
        occluded = _occluded_frames(rng, split, lengths)
        for place, length, num_occluded in zip(places, lengths, occluded, strict=True):
            first = specs[-1].first_frame + specs[-1].num_frames if specs else 1
            specs.append(TrackletSpec(len(specs), split, *place, length, num_occluded, first))
    return specs


class _Place(NamedTuple):
    """Where a tracklet belongs."""

    pid: int
    number: int
    group: str
    identity: int
    camid: int


def _places(preset: Preset, seed: int, split: str, rng: np.random.Generator) -> Iterator[_Place]:
    """Yields the places of a split's tracklets."""
    people = [("train", index) for index in range(preset.train_identities)]
    people += [("test", index) for index in range(preset.test_identities)]
    people += [("distractor", index) for index in range(preset.distractor_identities)]
    groups = {"train": ("train",), "query": ("test",), "gallery": ("test", "distractor")}[split]
    for pid, (group, index) in enumerate(people, start=1):
        if group not in groups:
            continue
        way = keyed_rng(seed, "way", preset.name, pid).permutation(preset.cameras)
        passed = np.sort(way[: preset.sightings])
        if split == "query":
            camids = np.sort(rng.permutation(passed)[: preset.queries_per_identity])
        else:
            counts = rng.integers(1, preset.max_tracklets + 1, preset.sightings)
            camids = np.repeat(passed, counts)
        # Tracklets of queries and gallery are different, so the gallery continues the numbers.
        first = 1 + (preset.queries_per_identity if split == "gallery" else 0)
        for number, camid in enumerate(camids.tolist(), start=first):
            yield _Place(pid, number, group, index, camid)


def _occluded_frames(rng: np.random.Generator, split: str, lengths: Sequence[int]) -> list[int]:
    """Draws numbers of occluded frames whose fractions are distributed as in Table 1."""
    count = len(lengths)
    quantiles = (rng.permutation(count) + rng.random(count)) / count
    shares = np.array(TRACKLET_SHARES[split])
    bounds = np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    fractions = np.interp(quantiles, bounds, (0.0, *FRACTION_EDGES))
    numbers = []
    for fraction, length in zip(fractions, lengths, strict=True):
        least = length // 3 + 1 if split == "query" else int(fraction > 0)
        numbers.append(min(length, max(least, round(fraction * length))))
    return numbers
