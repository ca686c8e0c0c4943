"""Pictures of what a model does, by the name of the model in the configuration."""

from torchreid_occ.visualization.rfcnet import draw_rfcnet
from torchreid_occ.visualization.rru_stim import draw_rru_stim
from torchreid_occ.visualization.trl_st2n import draw_trl_st2n

PICTURES = {"rfcnet": draw_rfcnet, "rru_stim": draw_rru_stim, "trl_st2n": draw_trl_st2n}

__all__ = ["PICTURES", "draw_rfcnet", "draw_rru_stim", "draw_trl_st2n"]
