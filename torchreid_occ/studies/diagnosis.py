"""What a trained RFCnet's blocks predict and add, measured against ground truth."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor, nn
from torch.nn import functional as F

from torchreid_occ._types import StrPath
from torchreid_occ.completion.truth import HIDDEN
from torchreid_occ.losses.rfcnet import keypoint_labels
from torchreid_occ.models.layers.rfc import RfcOutput
from torchreid_occ.runs.builders import load_trained_model
from torchreid_occ.studies.true_clips import TrueClip, TrueClips, true_clips
from torchreid_occ.studies.truth import blocks_of
from torchreid_occ.utils.progress import progress
from torchreid_occ.utils.tables import markdown_table

SEEN_PERSON, HIDDEN_PERSON = "foreground where visible", "foreground where hidden"
MEASURED = 100  # clips of each part that the blocks are measured on

# {stage: {quantity: mean}}
Measures: TypeAlias = dict[str, dict[str, float]]


def diagnose_blocks(
    checkpoint: StrPath, root: str | None = None, split: int | None = None
) -> tuple[Measures, Measures]:
    """Measures the blocks of a trained model on some training clips and some query clips.

    Args:
        checkpoint: A checkpoint of a model that was trained on a dataset with ground truth.
        root: Folder of the datasets; the training's if None.
        split: Which split to measure on; the training's if None.

    Returns:
        The measures of the training clips and of the query clips, empty for a model without blocks.

    Raises:
        ValueError: If the dataset has no ground truth.
    """
    model, config, _ = load_trained_model(checkpoint)
    if not blocks_of(model):
        return {}, {}
    split = config.data.split_id if split is None else split
    parts = true_clips(config, root or config.data.root, split, ("train", "query"))
    train, query = (measure_blocks(model, evenly_spread(clips)) for clips in parts)
    return train, query


def block_tables(train: Measures, query: Measures) -> str:
    """Returns a Markdown table for each block.

    Args:
        train: Measures of training clips.
        query: Measures of query clips.
    """
    tables = []
    for stage, quantities in query.items():
        titles = (f"block behind stage {stage}", "training", "queries")
        rows = [
            (quantity, f"{train[stage].get(quantity, float('nan')):.3f}", f"{value:.3f}")
            for quantity, value in quantities.items()
        ]
        tables.append(markdown_table(titles, rows))
    return "\n".join(tables)


def evenly_spread(clips: TrueClips, count: int = MEASURED) -> list[TrueClip]:
    """Loads evenly spread clips of a set.

    Args:
        clips: The clips.
        count: How many; all, if they are fewer.
    """
    step = max(1, len(clips) // count)
    return [clips[index][1] for index in range(0, len(clips), step)][:count]


@torch.no_grad()
def measure_blocks(model: nn.Module, clips: Iterable[TrueClip]) -> Measures:
    """Averages over clips what each block predicts and adds.

    Args:
        model: An RFCnet in eval mode.
        clips: The clips.

    Returns:
        ``{stage: {quantity: mean}}``:

        - The residual is relative to the map it is added to.
        - The area under the curve is the probability that the foreground map ranks a unit that
          shows the person above a unit where the person is hidden; chance gives 0.5.
        - Lines miss by rows or columns of the map.
        - The gate is TRFC's weight of a region's own feature, for regions of which more than half
          is hidden, and for the others.
        - Attention on shown is the attention of mostly hidden regions to the same region in other
          frames that show most of it; "if even" is its value for uniform attention.
    """
    sums: dict[str, dict[str, list[Tensor]]] = defaultdict(lambda: defaultdict(list))
    seen: dict[str, tuple[Tensor, tuple[Tensor, RfcOutput]]] = {}

    def keep(stage: str) -> Any:
        def hook(
            _block: nn.Module, inputs: tuple[Tensor, ...], output: tuple[Tensor, RfcOutput]
        ) -> None:
            seen[stage] = inputs[0], output

        return hook

    handles = [
        block.register_forward_hook(keep(stage)) for stage, block in blocks_of(model).items()
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


def _summary(quantities: Mapping[str, list[Tensor]]) -> dict[str, float]:
    values = {name: torch.cat(parts) for name, parts in quantities.items()}
    means = {name: found.nanmean().item() for name, found in values.items()}
    if len(values.get(HIDDEN_PERSON, ())) and len(values[SEEN_PERSON]):
        ranked = mannwhitneyu(values[SEEN_PERSON], values[HIDDEN_PERSON]).statistic
        pairs = len(values[SEEN_PERSON]) * len(values[HIDDEN_PERSON])
        means["foreground, area under curve"] = float(ranked / pairs)
    return means


def _measure(
    clip: TrueClip, maps: Tensor, completed: Tensor, found: RfcOutput
) -> dict[str, Tensor]:
    size = maps.shape[-2], maps.shape[-1]
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
    temporal = found.temporal
    if temporal is not None and temporal.gate is not None and temporal.attention is not None:
        gate = temporal.gate.mean(2)
        measured["gate where visible"], measured["gate where hidden"] = gate[~hidden], gate[hidden]
        measured |= _attention(temporal.attention[0], hidden)
    if found.spatial is not None:
        measured["assignment entropy"] = torch.special.entr(found.spatial.assignment).sum(2)
    return measured


def _attention(attention: Tensor, hidden: Tensor) -> dict[str, Tensor]:
    """Measures how much of the attention of hidden regions goes to frames that show them."""
    shown = (~hidden).T[:, None].float()  # (N, 1, T)
    on_shown = (attention * shown).sum(2)  # (N, T)
    others = shown.sum(2) - shown.squeeze(1)
    uniform = others / (attention.shape[2] - 1)
    wanted = hidden.T & (others > 0)
    return {"attention on shown": on_shown[wanted], "attention on shown if even": uniform[wanted]}
