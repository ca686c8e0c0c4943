"""Embedders: what turns tracklets into features, from a run, torchreid's model zoo, or ONNX."""

from torchreid_occ.embedders.load import Embedder, check_embedder, embedder_file, load_embedder
from torchreid_occ.embedders.pretrained import check_pretrained, save_pretrained
from torchreid_occ.embedders.provenance import Provenance
from torchreid_occ.embedders.published import PUBLISHED

__all__ = [
    "PUBLISHED",
    "Embedder",
    "Provenance",
    "check_embedder",
    "check_pretrained",
    "embedder_file",
    "load_embedder",
    "save_pretrained",
]
