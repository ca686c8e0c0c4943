"""Operators, each with a Python function and the slow definition that it must equal."""

from torchreid_occ.ops.binary import backends
from torchreid_occ.ops.patch_attention import patch_attention
from torchreid_occ.ops.reference import patch_attention_reference

__all__ = ["backends", "patch_attention", "patch_attention_reference"]
