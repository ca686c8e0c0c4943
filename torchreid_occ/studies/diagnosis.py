"""What a trained RFCnet's blocks predict and add, measured against OccWalk's ground truth."""

from collections import defaultdict

import torch
from scipy.stats import mannwhitneyu
from torch.nn import functional as F

from torchreid_occ.completion.truth import HIDDEN
from torchreid_occ.losses.rfcnet import keypoint_labels
from torchreid_occ.utils.progress import progress

SEEN_PERSON, HIDDEN_PERSON = "foreground where visible", "foreground where hidden"


@torch.no_grad()
def measure_blocks(model, clips):
    """Means over clips of what each block does.

    Args:
        model: An RFCnet in eval mode.
        clips: Yields each `TrueClip`.

    Returns:
        ``{stage: {quantity: mean}}``. The residual is relative to the map it is added to; the area
        is how often the foreground map ranks a unit that shows the person above one where it is
        hidden, 0.5 by chance; lines miss by rows or columns of the map; the gate is TRFC's weight
        of a region's own feature, in regions of which more or less than half is hidden; attention
        is what regions of other frames that are mostly visible get from hidden ones, and would get
        if all got alike.
    """
    sums = defaultdict(lambda: defaultdict(list))
    seen = {}
    handles = [
        block.register_forward_hook(
            lambda _block, inputs, output, stage=stage: seen.update({stage: (inputs[0], output)})
        )
        for stage, block in model.blocks.items()
    ]
    try:
        for clip in progress(clips, "blocks", unit="clip"):
            model(clip.frames[None])
            for stage, (maps, (completed, found)) in seen.items():
                for name, values in _measure(clip, maps, completed, found).items():
                    sums[stage][name].append(values.float().flatten())
    finally:
        for handle in handles:
            handle.remove()
    return {stage: _summary(quantities) for stage, quantities in sums.items()}


def _summary(quantities):
    values = {name: torch.cat(parts) for name, parts in quantities.items()}
    means = {name: found.nanmean().item() for name, found in values.items()}
    if len(values.get(HIDDEN_PERSON, ())) and len(values[SEEN_PERSON]):
        ranked = mannwhitneyu(values[SEEN_PERSON], values[HIDDEN_PERSON]).statistic
        pairs = len(values[SEEN_PERSON]) * len(values[HIDDEN_PERSON])
        means["foreground, area under curve"] = float(ranked / pairs)
    return means


def _measure(clip, maps, completed, found):
    size = maps.shape[-2:]
    residual = (completed - maps).flatten(1).norm(dim=1) / maps.flatten(1).norm(dim=1)
    measured = {"residual": residual}
    visible = F.interpolate(clip.visible, size, mode="area")
    if found.regions is None:
        return measured
    masks = found.regions.masks
    whole = F.interpolate(clip.whole, size, mode="area")
    share = (masks * visible).sum((2, 3)) / (masks * whole).sum((2, 3)).clamp(min=1e-6)
    hidden = 1 - share > HIDDEN
    if found.regions.keypoint_logits is not None:
        predicted = [line.argmax(1) for line in found.regions.keypoint_logits]
        classes = [line.shape[1] for line in found.regions.keypoint_logits]
        labels = keypoint_labels(clip.keypoints, size, classes)
        for name, line, label in zip(
            ("shoulder row", "hip row", "knee row", "column"), predicted, labels.T, strict=True
        ):
            measured[f"{name} missed by"] = (line - label).abs()
    if found.foreground_logits is not None:
        probability = found.foreground_logits.sigmoid()
        measured[SEEN_PERSON] = probability[visible > 0.5]
        measured[HIDDEN_PERSON] = probability[(whole > 0.5) & (visible < 0.5)]
        measured["foreground of background"] = probability[whole < 0.5]
    if found.temporal is not None and found.temporal.gate is not None:
        gate = found.temporal.gate.mean(2)
        measured["gate where visible"], measured["gate where hidden"] = gate[~hidden], gate[hidden]
        measured |= _attention(found.temporal.attention[0], hidden)
    if found.spatial is not None:
        measured["assignment entropy"] = torch.special.entr(found.spatial.assignment).sum(2)
    return measured


def _attention(attention, hidden):
    """How much of the attention of hidden regions goes to frames that show them."""
    shown = (~hidden).T[:, None].float()  # (N, 1, T)
    on_shown = (attention * shown).sum(2)  # (N, T)
    others = shown.sum(2) - shown.squeeze(1)
    uniform = others / (attention.shape[2] - 1)
    wanted = hidden.T & (others > 0)
    return {"attention on shown": on_shown[wanted], "attention on shown if even": uniform[wanted]}
