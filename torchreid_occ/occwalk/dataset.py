"""OccWalk as datasets of torchreid."""

import re
from pathlib import Path
from typing import Any

from torchreid_occ._registry import register_dataset
from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import (
    ListedTracklet,
    Subsets,
    TrackletDataset,
    frames_in,
    relabel,
    subfolders,
)
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.occwalk.build import build
from torchreid_occ.occwalk.ground_truth import OccWalkGroundTruth
from torchreid_occ.occwalk.presets import PRESETS
from torchreid_occ.occwalk.protocol import SPLITS


class OccWalk(TrackletDataset):
    """Pedestrians rendered on video under occlusion, with pixel ground truth; no download.

    Reference: protocol of Occluded-DukeMTMC-VideoReID (RFCnet, section 5). Layout: see
    :mod:`torchreid_occ.occwalk.files`. It is rendered on first use.

    Args:
        root: Folder that holds the datasets.
        split_id: Seed of the rendering: another seed gives other people, places and occluders.
        seed: Seed of the rendering instead of `split_id`.
        **kwargs: torchreid's.
    """

    splits_share_people = False
    preset: str  # name of the preset
    clean = False  # whether the frames are without occluders

    def __init__(
        self, root: StrPath = "", split_id: int = 0, seed: int | None = None, **kwargs: Any
    ) -> None:
        self._options = {} if seed is None else {"seed": seed}
        self.dataset_dir = build(PRESETS[self.preset], split_id if seed is None else seed, root)
        super().__init__(root, split_id, **kwargs)

    def read(self, split_id: int) -> Subsets:
        """Lists the items; pids of query and gallery are those of the file names."""
        folder = self.dataset_dir / "ground_truth/clean" if self.clean else self.dataset_dir
        train, query, gallery = (_read_split(folder, split) for split in SPLITS)
        return relabel(train), query, gallery

    def supervision(self) -> Supervision:
        """Returns the true key point lines and the true masks of the visible person."""
        return self.ground_truth().visible()

    def ground_truth(self) -> OccWalkGroundTruth:
        """Returns the ground truth of the occluders."""
        query = [paths for paths, *_ in self.query]
        return OccWalkGroundTruth(self.dataset_dir, self.preset, self.clean, query, self._options)


@register_dataset("occwalk_tiny")
class OccWalkTiny(OccWalk):
    """OccWalk for tests and demonstrations: 16 + 16 identities, 3 cameras, seconds to render."""

    preset = "occwalk_tiny"


@register_dataset("occwalk_tiny.clean")
class OccWalkTinyClean(OccWalkTiny):
    """OccWalkTiny without occluders."""

    clean = True


@register_dataset("occwalk_small")
class OccWalkSmall(OccWalk):
    """OccWalk for experiments: 300 + 300 identities, 4 cameras, a minute to render."""

    preset = "occwalk_small"


@register_dataset("occwalk_small.clean")
class OccWalkSmallClean(OccWalkSmall):
    """OccWalkSmall without occluders."""

    clean = True


@register_dataset("occwalk_full")
class OccWalkFull(OccWalk):
    """OccWalk at the papers' scale: 500 + 500 identities, 6 cameras, half an hour to render."""

    preset = "occwalk_full"


@register_dataset("occwalk_full.clean")
class OccWalkFullClean(OccWalkFull):
    """OccWalkFull without occluders."""

    clean = True


def _read_split(folder: Path, split: str) -> list[ListedTracklet]:
    items = []
    for person in subfolders(folder / split):
        for tracklet in subfolders(person):
            frames = frames_in(tracklet)
            camera = re.search(r"_C(\d+)_F\d+_X\d+\.jpg$", frames[0])
            assert camera is not None, f"OccWalk names no frame like {frames[0]}"
            items.append((frames, int(person.name), int(camera[1]) - 1))
    return items
