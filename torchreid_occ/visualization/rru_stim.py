"""Effect of the refining recurrent unit on a clip: the paper's Fig. 3 for any tracklet."""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from torchreid_occ.models.rru_stim import RruStim
from torchreid_occ.visualization.maps import Frame, draw_rows, response, responses


@torch.no_grad()
def draw_rru_stim(model: RruStim, clip: Tensor, frames: Sequence[Frame]) -> dict[str, Figure]:
    """Draws the responses of the maps before and after refinement.

    Reference: RRU-STIM, Fig. 3.

    Args:
        model: The model in eval mode.
        clip: The clip as the model takes it.
        frames: The same frames.

    Shape:
        clip: ``(1, T, 3, H, W)``; frames: T of ``(H, W, 3)``.

    Returns:
        Figures by name; none for a variant without the unit.
    """
    if model.rru is None:
        return {}
    outputs = model.forward_clip(clip)
    raw, refined = outputs.raw[0], outputs.refined[0]
    highest = response(raw).max()  # refined values lie between raw values
    rows: dict[str, Sequence[npt.NDArray[Any]]] = {
        "frames": frames,
        "raw maps": responses(raw, frames, highest),
        "refined maps": responses(refined, frames, highest),
    }
    return {"refinement": draw_rows(rows)}
