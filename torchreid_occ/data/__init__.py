"""The path of frames from tracklets on disk to clip batches."""

from torchreid_occ.data.clips import ItemKey, TestClips, TrainClips, collate
from torchreid_occ.data.ground_truth import GroundTruth, ground_truth_of
from torchreid_occ.data.images import read_image, verify_images
from torchreid_occ.data.manager import ClipDataManager, ClipOptions
from torchreid_occ.data.sampling import sample_clip, split_into_clips
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.data.truth_by_name import load_ground_truth

__all__ = [
    "ClipDataManager",
    "ClipOptions",
    "ClipTransform",
    "GroundTruth",
    "ItemKey",
    "Supervision",
    "TestClips",
    "TrainClips",
    "collate",
    "ground_truth_of",
    "load_ground_truth",
    "read_image",
    "sample_clip",
    "split_into_clips",
    "verify_images",
]
