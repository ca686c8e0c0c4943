"""Engines on torchreid's: one for clip models, torchreid's own kept comparable."""
