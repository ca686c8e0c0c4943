"""From a video to tracklets: people are detected or read from a file, linked and cropped."""

from torchreid_occ.footage.recording import BoxSource, TrackletOptions, add_recording

__all__ = ["BoxSource", "TrackletOptions", "add_recording"]
