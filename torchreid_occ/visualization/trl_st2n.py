"""Effect of the spatial-temporal transformer on a clip: the paper's Fig. 3 for any tracklet."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from torchreid_occ.models.trl_st2n import TrlSt2n
from torchreid_occ.visualization.maps import Frame, draw_rows, response, responses


@torch.no_grad()
def draw_trl_st2n(model: TrlSt2n, clip: Tensor, frames: Sequence[Frame]) -> dict[str, Figure]:
    """Draws frames and the stem's maps, as they are and aligned.

    Reference: TRL-ST2N, Fig. 3.

    Args:
        model: The model in eval mode.
        clip: The clip as the model takes it.
        frames: The same frames.

    Shape:
        clip: ``(1, T, 3, H, W)``; frames: T of ``(H, W, 3)``.

    Returns:
        Figures by name; none for a variant without alignment.
    """
    if model.alignment is None:
        return {}
    theta = model.forward_clip(clip).theta
    assert theta is not None  # as the model aligns
    maps = model.stem(clip[0])[None]
    pictures = torch.stack([torch.tensor(frame) for frame in frames])
    pictures = pictures.permute(0, 3, 1, 2)[None].to(theta) / 255
    aligned_maps = model.alignment.align(maps, theta)[0]
    aligned = model.alignment.align(pictures, theta)[0].permute(0, 2, 3, 1).clamp(0, 1).cpu()
    highest = response(maps[0]).max()
    rows = {
        "frames": frames,
        "maps": responses(maps[0], frames, highest),
        "aligned frames": list(aligned.numpy()),
        "aligned maps": responses(aligned_maps, frames, highest),
    }
    return {"alignment": draw_rows(rows)}
