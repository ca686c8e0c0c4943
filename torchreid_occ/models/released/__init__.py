"""Conversion of the weights that the papers' authors released."""

from torchreid_occ.models.released import rfcnet, rru_stim

RELEASED = {"rfcnet": rfcnet, "rru_stim": rru_stim}
