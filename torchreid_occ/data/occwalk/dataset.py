"""OccWalk as datasets of torchreid."""

import re

from torchreid_occ.data.datasets.base import TrackletDataset, frames_in, relabel, subfolders
from torchreid_occ.data.occwalk.build import build
from torchreid_occ.data.occwalk.presets import PRESETS
from torchreid_occ.data.occwalk.protocol import SPLITS
from torchreid_occ.data.supervision import Supervision


class OccWalk(TrackletDataset):
    """Pedestrians rendered on video under occlusion, with pixel ground truth; no download.

    Reference: protocol of Occluded-DukeMTMC-VideoReID (RFCnet, section 5). Layout: see
    :mod:`torchreid_occ.data.occwalk.files`. It is rendered when it is not there yet.

    Args:
        root: Folder that holds the datasets.
        split_id: There is one split; ignored.
        seed: Seed of the rendering; another seed gives other people, places and occluders.
        **kwargs: torchreid's.
    """

    preset = None  # name of the preset

    def __init__(self, root="", split_id=0, seed=0, **kwargs):
        self.dataset_dir = build(PRESETS[self.preset], seed, root)
        super().__init__(root, split_id, **kwargs)

    def read(self, split_id):
        """Lists the items; pids of query and gallery are those of the file names."""
        train, query, gallery = (self._read_split(split) for split in SPLITS)
        return relabel(train), query, gallery

    def _read_split(self, split):
        items = []
        for person in subfolders(self.dataset_dir / split):
            for tracklet in subfolders(person):
                frames = frames_in(tracklet)
                camera = int(re.search(r"_C(\d+)_F\d+_X\d+\.jpg$", frames[0])[1])
                items.append((frames, int(person.name), camera - 1))
        return items

    def supervision(self):
        """True key point lines and true masks of what is visible."""
        return Supervision(
            str(self.dataset_dir / "keypoints.json"), str(self.dataset_dir / "foreground")
        )


class OccWalkTiny(OccWalk):
    """OccWalk for tests and demonstrations: 16 + 16 identities, 3 cameras, seconds to render."""

    preset = "occwalk_tiny"
