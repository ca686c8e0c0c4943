"""Upper bounds: a trained model with one thing at a time replaced by ground truth."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchreid_occ._types import StrPath
from torchreid_occ.completion.truth import HIDDEN
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.engine.evaluation import Features, LearnedMetric, distance_matrix
from torchreid_occ.losses.rfcnet import keypoint_labels
from torchreid_occ.metrics import rank_queries
from torchreid_occ.models.baseline import Baseline
from torchreid_occ.models.layers.partition import cut_regions, region_layout
from torchreid_occ.runs.builders import load_trained_model
from torchreid_occ.studies.true_clips import TrueClip, TrueClips, true_clips
from torchreid_occ.studies.truth import SURE, Truth, predicted_by
from torchreid_occ.utils.progress import progress
from torchreid_occ.utils.tables import markdown_row

# Features of a clip of T frames, `(1, D)`.
Oracle: TypeAlias = Callable[[Baseline, TrueClip], Tensor]


class Bound(NamedTuple):
    """The mAP of a model with something replaced, or trained so."""

    title: str
    mAP: float  # noqa: N815  the field writes mAP

    def row(self) -> str:
        """Returns a row of a Markdown table, in percent."""
        return markdown_row([self.title, f"{100 * self.mAP:.1f}"])


def as_it_is(model: Baseline, clip: TrueClip) -> Tensor:
    """Replaces nothing."""
    return model(clip.frames[None])


def clean_frames(model: Baseline, clip: TrueClip) -> Tensor:
    """Takes the frames without occluders."""
    return model(clip.clean[None])


def occluded_frames_dropped(model: Baseline, clip: TrueClip) -> Tensor:
    """Takes the frames in which nothing is hidden; without any, the least hidden one."""
    keep = clip.fractions <= clip.fractions.min()
    return model(clip.frames[keep][None])


def visible_units_pooled(model: Baseline, clip: TrueClip) -> Tensor:
    """Averages the last map over the visible person, not over all of it."""

    def weigh(_stage: nn.Module, _inputs: Any, maps: Tensor) -> Tensor:
        weights = F.interpolate(clip.visible, maps.shape[-2:], mode="area") + SURE
        return maps * weights / weights.mean((2, 3), keepdim=True)

    return _with_last_stage(model, weigh, clip.frames)


def perfect_completion(model: Baseline, clip: TrueClip) -> Tensor:
    """Takes occluded regions of the last map from the clean frame's last map."""
    maps_of_clean = []

    def keep(_stage: nn.Module, _inputs: Any, maps: Tensor) -> None:
        maps_of_clean.append(maps)

    def complete(_stage: nn.Module, _inputs: Any, maps: Tensor) -> Tensor:
        hidden = occluded_units(clip, (maps.shape[-2], maps.shape[-1]))
        return torch.where(hidden, maps_of_clean[0], maps)

    _with_last_stage(model, keep, clip.clean)
    return _with_last_stage(model, complete, clip.frames)


def occluded_units(clip: TrueClip, size: tuple[int, int]) -> Tensor:
    """Marks the units of a map that lie in a region of which more than half is hidden.

    Args:
        clip: A clip of T frames.
        size: Height and width of the map.

    Shape:
        Result: `(T, 1, H, W)`.
    """
    height, width = size
    classes = (height - 3, height - 2, height - 1, width - 1)
    lines = keypoint_labels(clip.keypoints, size, classes) + 1
    regions = cut_regions(lines[:, :3], lines[:, 3:], region_layout(6), size, torch.float32)
    seen, whole = (
        (regions.masks * F.interpolate(mask, size, mode="area")).sum((2, 3))
        for mask in (clip.visible, clip.whole)
    )
    hidden = (1 - seen / whole.clamp(min=1e-6) > HIDDEN) & (whole > 0)
    return (regions.masks * hidden[:, :, None, None]).sum(1, keepdim=True) > 0


def _with_last_stage(
    model: Baseline, hook: Callable[[nn.Module, Any, Tensor], Tensor | None], frames: Tensor
) -> Tensor:
    """Runs a model on a clip while a hook reads, and may replace, its last map."""
    handle = model.backbone.stages[-1].register_forward_hook(hook)
    try:
        return model(frames[None])
    finally:
        handle.remove()


ORACLES: dict[str, Oracle] = {
    "as it is": as_it_is,
    "occluded frames dropped": occluded_frames_dropped,
    "visible units pooled": visible_units_pooled,
    "perfect completion": perfect_completion,
    "clean frames": clean_frames,
}
# These change only clips in which something is hidden.
OF_OCCLUSION = {"occluded frames dropped", "perfect completion", "clean frames"}


@torch.no_grad()
def oracle_features(
    model: Baseline, truth: Truth, clips: TrueClips, oracles: Iterable[str], workers: int = 2
) -> dict[str, Features]:
    """Extracts features of a set of tracklets under each oracle.

    Args:
        model: In eval mode.
        truth: A `Truth` of the model.
        clips: The tracklets.
        oracles: Names of `ORACLES`.
        workers: Processes that read images.

    Returns:
        ``{oracle: Features}``.
    """
    loader = item_loader(clips, workers)
    num_tracklets = len(clips.tracklets)
    sums = {name: torch.zeros(num_tracklets, model.feature_dim) for name in oracles}
    frames = torch.zeros(num_tracklets, 1)
    for index, clip in progress(loader, "oracles", unit="clip"):
        truth.set_frames(clip.keypoints, clip.visible)
        plain = as_it_is(model, clip)
        for name in sums:
            same = name == "as it is" or (name in OF_OCCLUSION and not clip.fractions.any())
            found = plain if same else ORACLES[name](model, clip)
            sums[name][index] += found[0] * len(clip.frames)
        frames[index] += len(clip.frames)
    pids, camids = (np.array([item[column] for item in clips.tracklets]) for column in (1, 2))
    return {name: Features(total / frames, pids, camids) for name, total in sums.items()}


def average_precisions(
    query: Features, gallery: Features, dist_metric: str | LearnedMetric = "cosine"
) -> npt.NDArray[np.float64]:
    """Computes the average precision of each query that has a match.

    Args:
        query: Features of the queries.
        gallery: Features of the gallery.
        dist_metric: 'cosine' or 'euclidean'.

    Shape:
        Result: `(Q,)`.
    """
    distances = distance_matrix(query, gallery, dist_metric)
    ranks = rank_queries(distances, query.pids, gallery.pids, query.camids, gallery.camids)
    return ranks.average_precision


def upper_bounds(
    checkpoint: StrPath, root: str | None = None, split: int | None = None
) -> Iterator[Bound]:
    """Tests a trained model while ground truth replaces one thing at a time.

    Args:
        checkpoint: A checkpoint of a model that was trained on a dataset with ground truth.
        root: Folder of the datasets; the training's if None.
        split: Which split to test on; the training's if None.

    Yields:
        The mAP of each oracle, then with what the model's blocks predict replaced.

    Raises:
        ValueError: If the model is none with a last map, or its dataset has no ground truth.
    """
    model, config, _ = load_trained_model(checkpoint)
    if not isinstance(model, Baseline):
        raise ValueError(
            f"{checkpoint} holds the model {config.model.name!r}, but oracles are of models that "
            "pool the last map of a backbone, such as 'baseline' and 'rfcnet'."
        )
    split = config.data.split_id if split is None else split
    query_clips, gallery_clips = true_clips(config, root or config.data.root, split)
    predicted = predicted_by(model)
    rows: list[tuple[list[str], list[str]]] = [([], [*ORACLES])]
    rows += [([truth], ["as it is"]) for truth in predicted]
    rows += [(predicted, ["as it is"])] if len(predicted) > 1 else []
    for truths, oracles in rows:
        with Truth(model, truths) as truth:
            query = oracle_features(model, truth, query_clips, oracles)
            gallery = oracle_features(model, truth, gallery_clips, oracles)
        for oracle in oracles:
            precision = average_precisions(query[oracle], gallery[oracle], config.test.dist_metric)
            title = f"true {' and '.join(truths)}" if truths else oracle
            yield Bound(title, float(precision.mean()))
