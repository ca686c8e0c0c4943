"""From a video to tracklets: people are detected or read from a file, linked and cropped."""

from torchreid_occ.footage.boxes import NoTrackletsError
from torchreid_occ.footage.recording import BoxSource, TrackletOptions, add_recording

__all__ = ["BoxSource", "NoTrackletsError", "TrackletOptions", "add_recording"]
