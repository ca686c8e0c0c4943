"""Weights that the papers' authors released, converted for our models."""

from torchreid_occ.models.released import rfcnet, rru_stim

RELEASED = {"rfcnet": rfcnet, "rru_stim": rru_stim}
