"""Pictures of what a trained model does to a tracklet."""

from torchreid_occ.visualization.rfcnet import draw_rfcnet
from torchreid_occ.visualization.rru_stim import draw_rru_stim
from torchreid_occ.visualization.trl_st2n import draw_trl_st2n

__all__ = ["draw_rfcnet", "draw_rru_stim", "draw_trl_st2n"]
