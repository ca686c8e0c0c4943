"""What the refining recurrent unit does to a clip: the paper's Fig. 3 for any tracklet."""

import torch

from torchreid_occ.visualization.maps import draw_rows, response, responses


@torch.no_grad()
def draw_rru_stim(model, clip, frames):
    """Draws the responses of the maps before and after refinement.

    Reference: RRU-STIM, Fig. 3.

    Args:
        model: An RruStim in eval mode.
        clip: The clip as the model takes it.
        frames: The same frames as pictures.

    Shape:
        clip: ``(1, T, 3, H, W)``; frames: T of ``(H, W, 3)``.

    Returns:
        Matplotlib figures by name; none of a variant without the unit.
    """
    if model.rru is None:
        return {}
    outputs = model.forward_clip(clip)
    raw, refined = outputs.raw[0], outputs.refined[0]
    highest = response(raw).max()  # refined maps lie between raw ones
    rows = {
        "frames": frames,
        "raw maps": responses(raw, frames, highest),
        "refined maps": responses(refined, frames, highest),
    }
    return {"refinement": draw_rows(rows)}
