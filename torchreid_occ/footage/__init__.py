"""From a video to tracklets: boxes of people found or read, linked over time and cut out."""

from torchreid_occ.footage.recording import BoxSource, TrackletOptions, add_recording

__all__ = ["BoxSource", "TrackletOptions", "add_recording"]
