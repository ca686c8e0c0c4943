"""Engines on torchreid's: one for clip models, and torchreid's own behind the same interface."""

from torchreid_occ.engine.clip import ClipEngine

__all__ = ["ClipEngine"]
