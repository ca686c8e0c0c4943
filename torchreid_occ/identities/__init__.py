"""People across cameras: the tracklets of a gallery grouped by who they show, with corrections."""

from torchreid_occ.identities.corrections import Corrections
from torchreid_occ.identities.finding import Decision, Identities, Person, find_identities
from torchreid_occ.identities.record import correct, update_identities

__all__ = [
    "Corrections",
    "Decision",
    "Identities",
    "Person",
    "correct",
    "find_identities",
    "update_identities",
]
