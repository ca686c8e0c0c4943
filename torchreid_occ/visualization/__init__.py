"""Pictures of what a model does, by the name of the model in the configuration."""

from torchreid_occ.visualization.rfcnet import draw_rfcnet

PICTURES = {"rfcnet": draw_rfcnet}

__all__ = ["PICTURES", "draw_rfcnet"]
