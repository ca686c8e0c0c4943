"""A checkpoint of a small model that was never trained."""

import torch
from support import pairs

from torchreid_occ.config import load_config, plain
from torchreid_occ.models import build_model
from torchreid_occ.utils.checkpoint import save_checkpoint

SETTINGS = {"data.height": "32", "data.width": "16", "data.workers": "0", "model.name": "baseline"}


def write_small_checkpoint(folder):
    config = load_config(None, pairs(SETTINGS)).clone()
    config.defrost()
    config.model.options.backbone = "resnet18_x0_5"
    torch.manual_seed(0)
    model = build_model("baseline", 4, height=32, width=16, **plain(config.model.options))
    path = folder / "model.pth.tar-1"
    state = {"config": plain(config), "num_classes": 4, "state_dict": model.state_dict()}
    save_checkpoint(state, path)
    return path
