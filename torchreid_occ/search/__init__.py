"""Galleries of tracklets on disk, searched for those nearest to a query."""

from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.index import KINDS
from torchreid_occ.search.protocol import Match, Searchable
from torchreid_occ.search.tracklets import (
    GalleryTracklet,
    list_tracklets,
    tracklets_in,
    tracklets_of_dataset,
)

__all__ = [
    "KINDS",
    "Gallery",
    "GalleryTracklet",
    "Match",
    "Searchable",
    "list_tracklets",
    "tracklets_in",
    "tracklets_of_dataset",
]
