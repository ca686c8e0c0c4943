"""Search: tracklets of a gallery that is kept on disk, nearest first."""

from torchreid_occ.search.gallery import Gallery, Match
from torchreid_occ.search.index import KINDS
from torchreid_occ.search.tracklets import Tracklet, tracklets_in, tracklets_of_dataset

__all__ = ["KINDS", "Gallery", "Match", "Tracklet", "tracklets_in", "tracklets_of_dataset"]
