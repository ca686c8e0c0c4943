"""Extraction of many videos and tracklets to Parquet, by one process or a cluster."""

from torchreid_occ.extraction.job import Extracted, extract_to_parquet
from torchreid_occ.extraction.units import FolderUnit, VideoUnit, folder_units
from torchreid_occ.extraction.videos import video_units

__all__ = [
    "Extracted",
    "FolderUnit",
    "VideoUnit",
    "extract_to_parquet",
    "folder_units",
    "video_units",
]
