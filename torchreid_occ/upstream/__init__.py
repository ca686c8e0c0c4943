"""Exports models and datasets of this package as files of torchreid's source tree."""

from torchreid_occ.upstream.export import Export, export, write
from torchreid_occ.upstream.part import Part, find_part
from torchreid_occ.upstream.pipeline import Exported, export_part
from torchreid_occ.upstream.tree import Tree
from torchreid_occ.upstream.trial import try_out

__all__ = [
    "Export",
    "Exported",
    "Part",
    "Tree",
    "export",
    "export_part",
    "find_part",
    "try_out",
    "write",
]
