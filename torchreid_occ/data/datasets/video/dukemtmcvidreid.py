"""DukeMTMC-VideoReID, whose reader also reads its occluded selection."""

import re
import warnings
from pathlib import Path

from torchreid_occ._registry import register_dataset
from torchreid_occ.data.datasets.base import (
    Counts,
    ListedTracklet,
    Statistics,
    Subsets,
    TrackletDataset,
    frames_in,
    relabel,
    subfolders,
)

# 0001_C6_F0099_X30823.jpg, or 0001C6F0099X30823.jpg in the old form: person, camera, frame of the
# tracklet, frame of the video.
# Paper silent [D8]: the layout of the occluded set is taken to be this one's.
FRAME_NAME = re.compile(r"-?\d+_?C(\d+)_?F(\d+)_?X(\d+)\.\w+", re.IGNORECASE)


@register_dataset("dukemtmcvidreid")
class DukeMTMCVidReID(TrackletDataset):
    """DukeMTMC-VideoReID: eight outdoor cameras, tracklets of about 168 frames.

    Unlike torchreid's reader it keeps every frame (torchreid looks names up from F0001 on, so it
    loses frames of tracklets that start later or have gaps), downloads nothing and writes nothing.

    Reference:
        - Ristani et al. Performance Measures and a Data Set for Multi-Target, Multi-Camera
          Tracking. ECCVW 2016.
        - Wu et al. Exploit the Unknown Gradually: One-Shot Video-Based Person Re-Identification by
          Stepwise Learning. CVPR 2018.

    URL: `<https://github.com/Yu-Wu/DukeMTMC-VideoReID>`_ (DukeMTMC was withdrawn for privacy, so
    this package never downloads it).

    Dataset statistics:
        - identities: 702 (train) + 702 (test) + 408 (distractors in the gallery).
        - tracklets: 2196 (train) + 702 (query) + 2636 (gallery).
        - cameras: 8.

    Folders below root::

        dukemtmc-vidreid/
            DukeMTMC-VideoReID/
                train/
                    <pid>/
                        <tracklet>/
                            0001_C6_F0099_X30823.jpg     or 0001C6F0099X30823.jpg
                query/
                gallery/
    """

    dataset_dir = Path("dukemtmc-vidreid/DukeMTMC-VideoReID")
    required = ("train", "query", "gallery")
    paper_statistics = Statistics(
        train=Counts(identities=702, tracklets=2196),
        query=Counts(identities=702, tracklets=702),
        gallery=Counts(identities=1110, tracklets=2636),
    )

    def read(self, split_id: int) -> Subsets:
        """Lists ``<pid>/<tracklet>/<frame>`` of each subset; the camera is in the frames' names."""
        train, query, gallery = (_tracklets(self.dataset_dir / name) for name in self.required)
        return relabel(train), query, gallery


def _tracklets(folder: Path) -> list[ListedTracklet]:
    items = []
    for person in subfolders(folder):
        if not re.fullmatch(r"-?\d+", person.name):
            warnings.warn(f"{person} is not named by a person's number: skipped.", stacklevel=2)
            continue
        for tracklet in subfolders(person):
            frames = sorted((*_parse(path), path) for path in frames_in(tracklet))
            cameras = {camera for _, _, camera, _ in frames}
            if len(cameras) > 1:
                raise ValueError(f"{tracklet} mixes frames of the cameras {sorted(cameras)}.")
            if frames:
                paths = tuple(path for *_, path in frames)
                items.append((paths, int(person.name), cameras.pop() - 1))
    return items


def _parse(path: str) -> tuple[int, int, int]:
    """Returns the frame's number in the tracklet and in the video, and the camera."""
    match = FRAME_NAME.fullmatch(Path(path).name)
    if match is None:
        raise ValueError(
            f"{path} is not named as 0001_C6_F0099_X30823.jpg or 0001C6F0099X30823.jpg, so its "
            "camera is not known. Rename or remove it."
        )
    camera, frame, video_frame = map(int, match.groups())
    return frame, video_frame, camera
