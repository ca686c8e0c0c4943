"""Upper bounds: a trained model with one thing at a time replaced by OccWalk's ground truth."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from torchreid_occ.completion.truth import HIDDEN
from torchreid_occ.data.clips import TestClips
from torchreid_occ.data.images import read_image
from torchreid_occ.data.loaders import item_loader
from torchreid_occ.data.supervision import FIELDS
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine import ClipEngine
from torchreid_occ.engine.evaluation import Features, distance_matrix
from torchreid_occ.losses.rfcnet import keypoint_labels, resize_foreground
from torchreid_occ.metrics import rank_queries
from torchreid_occ.models.layers.apu import AdaptivePartition
from torchreid_occ.models.layers.foreground import ForegroundHead
from torchreid_occ.models.layers.partition import cut_regions, region_layout
from torchreid_occ.utils.documents import read_json
from torchreid_occ.utils.progress import progress

TRUTHS = ("foreground", "lines")
SURE = 1e-3  # a true foreground map says "certainly" by this probability of the opposite


class TrueClip(NamedTuple):
    """Frames of a tracklet and what is true of them; T frames of H x W pixels.

    frames, clean: `(T, 3, H, W)`, normalised; visible, whole: `(T, 1, H, W)` in 0..1;
    keypoints: `(T, 4)` fractions; fractions: `(T,)`, how much of the person is hidden.
    """

    frames: Tensor
    clean: Tensor
    visible: Tensor
    whole: Tensor
    keypoints: Tensor
    fractions: Tensor


class TrueClips(TestClips):
    """Test clips of an OccWalk set as pairs of the tracklet's index and a `TrueClip`.

    Args:
        occluded: The rendering as a dataset.
        clean: The same rendering without occluders.
        split: 'train', 'query' or 'gallery'.
        height: Height of the frames the model reads.
        width: Width of the frames the model reads.
        clip_len: Frames in a clip.
        norm: Mean and standard deviation of each channel.
    """

    def __init__(self, occluded, clean, split, height, width, clip_len, norm):
        super().__init__(
            getattr(occluded, split), clip_len, ClipTransform(height, width, (), *norm)
        )
        self.clean_tracklets = getattr(clean, split)
        self.visible, self.whole = occluded.supervision(), clean.supervision()
        truth = Path(occluded.dataset_dir, "ground_truth", "occlusion.json")
        self.occlusion = read_json(truth)

    def __getitem__(self, item):
        index, start, stop = self.clips[item]
        paths, clean = (
            items[index][0][start:stop] for items in (self.tracklets, self.clean_tracklets)
        )
        keypoints = np.stack([self.visible.keypoints(path) for path in paths])
        masks = [self.visible.foreground(path) for path in paths]
        frames, keypoints, visible = self.transform(list(map(read_image, paths)), keypoints, masks)
        masks = [self.whole.foreground(path) for path in paths]
        cleaned, _, whole = self.transform(list(map(read_image, clean)), None, masks)
        fractions = torch.tensor([self.occlusion[Path(path).name][1] for path in paths])
        return index, TrueClip(frames, cleaned, visible, whole, keypoints, fractions)


class Truth:
    """Stands in for what a model's blocks predict.

    Args:
        model: The model.
        truths: What is true, of `TRUTHS`; nothing leaves the model as it is.

    Raises:
        ValueError: If the model's blocks predict no such thing.
    """

    def __init__(self, model, truths=()):
        self.keypoints = self.visible = None
        missing = sorted(set(truths) - set(predicted_by(model)))
        if missing:
            raise ValueError(f"The model predicts no {' and no '.join(missing)} to be replaced.")
        for block in getattr(model, "blocks", {}).values():
            if "foreground" in truths:
                block.foreground.forward = self._foreground
            if "lines" in truths:
                self._cut_truly(block.partition)

    def look_at(self, keypoints, visible):
        """Sets what is true of the frames the model reads next: `(F, 4)` and `(F, 1, H, W)`."""
        self.keypoints, self.visible = keypoints, visible

    def _foreground(self, maps):
        target = resize_foreground(self.visible, maps.shape[-2:], "area")
        return target.logit(SURE).to(maps.dtype)

    def _cut_truly(self, partition):
        predict = partition.forward

        def forward(maps):
            size = maps.shape[-2:]
            predicted = predict(maps)
            classes = [line.shape[1] for line in predicted.keypoint_logits]
            lines = keypoint_labels(self.keypoints, size, classes) + 1
            true = cut_regions(
                lines[:, :3], lines[:, 3:], partition.layout, size, predicted.masks.dtype
            )
            return true._replace(keypoint_logits=predicted.keypoint_logits)

        partition.forward = forward


def predicted_by(model):
    """Which of `TRUTHS` a model's blocks predict."""
    blocks = [*getattr(model, "blocks", {}).values()]
    heads = {
        "foreground": any(isinstance(block.foreground, ForegroundHead) for block in blocks),
        "lines": any(
            isinstance(getattr(block, "partition", None), AdaptivePartition) for block in blocks
        ),
    }
    return [name for name in TRUTHS if heads[name]]


def as_it_is(model, clip):
    """Nothing is replaced."""
    return model(clip.frames[None])


def clean_frames(model, clip):
    """The frames without occluders."""
    return model(clip.clean[None])


def occluded_frames_dropped(model, clip):
    """Only the frames in which nothing is hidden, or where there is none the least hidden one."""
    keep = clip.fractions <= clip.fractions.min()
    return model(clip.frames[keep][None])


def visible_units_pooled(model, clip):
    """The last map is averaged over what shows the person, not over all of it."""

    def weigh(_stage, _inputs, maps):
        weights = F.interpolate(clip.visible, maps.shape[-2:], mode="area") + SURE
        return maps * weights / weights.mean((2, 3), keepdim=True)

    return _with_last_stage(model, weigh, clip.frames)


def perfect_completion(model, clip):
    """Occluded regions of the last map are those of the clean frame's last map."""
    maps_of_clean = []
    _with_last_stage(model, lambda _stage, _inputs, maps: maps_of_clean.append(maps), clip.clean)

    def complete(_stage, _inputs, maps):
        hidden = occluded_units(clip, maps.shape[-2:])
        return torch.where(hidden, maps_of_clean[0], maps)

    return _with_last_stage(model, complete, clip.frames)


def occluded_units(clip, size):
    """Where a map lies in a region of which more than half is hidden. Shape: `(T, 1, H, W)`."""
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


def _with_last_stage(model, hook, frames):
    """Runs a model on a clip while a hook sees, and may replace, its last map."""
    handle = model.backbone.stages[-1].register_forward_hook(hook)
    try:
        return model(frames[None])
    finally:
        handle.remove()


ORACLES = {
    "as it is": as_it_is,
    "occluded frames dropped": occluded_frames_dropped,
    "visible units pooled": visible_units_pooled,
    "perfect completion": perfect_completion,
    "clean frames": clean_frames,
}


@torch.no_grad()
def oracle_features(model, truth, clips, oracles, workers=2):
    """Features of a set of tracklets under each oracle.

    Args:
        model: In eval mode.
        truth: A `Truth` around it.
        clips: A `TrueClips`.
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
        truth.look_at(clip.keypoints, clip.visible)
        for name in oracles:
            sums[name][index] += ORACLES[name](model, clip)[0] * len(clip.frames)
        frames[index] += len(clip.frames)
    labels = [np.array([item[column] for item in clips.tracklets]) for column in (1, 2)]
    return {name: Features(total / frames, *labels) for name, total in sums.items()}


def average_precisions(query, gallery, dist_metric="cosine"):
    """The average precision of each query that has a match. Shape: `(Q,)`."""
    distances = distance_matrix(query, gallery, dist_metric)
    ranks = rank_queries(distances, query.pids, gallery.pids, query.camids, gallery.camids)
    return ranks.average_precision


def true_clips(config, root, split, parts=("query", "gallery")):
    """Parts of the rendering a configuration trains on, with their ground truth."""
    name, data = config.data.sources[0], config.data
    datasets = [load_dataset(n, root, split) for n in (name, f"{name}.clean")]
    size = data.height, data.width, config.video.test_clip_len
    norm = list(data.norm_mean), list(data.norm_std)
    return [TrueClips(*datasets, part, *size, norm) for part in parts]


class OracleEngine(ClipEngine):
    """Trains and tests a model whose blocks are told the truth.

    Args:
        truths: What they are told, of `TRUTHS`.
        sets: Query and gallery as `TrueClips`.
        datamanager: As the next, see `ClipEngine`.
        model: The model.
        *args: `ClipEngine`'s.
        **kwargs: `ClipEngine`'s.
    """

    def __init__(self, truths, sets, datamanager, model, *args, **kwargs):
        super().__init__(datamanager, model, *args, **kwargs)
        self.truth, self.sets = Truth(model, truths), sets

    def forward_backward(self, batch):
        """One step, with the batch's supervision for truth."""
        self.truth.look_at(*(batch[field].flatten(0, 1) for field in FIELDS))
        return super().forward_backward(batch)

    def test(self, dist_metric="cosine", **_options):
        """Keeps the mAP on the true clips."""
        self.set_model_mode("eval")
        query, gallery = (
            oracle_features(self.model, self.truth, part, ["as it is"])["as it is"]
            for part in self.sets
        )
        mean = average_precisions(query, gallery, dist_metric).mean()
        self.results = {"true clips": {"mAP": float(mean)}}

    def validate(self):
        """Chooses no checkpoint: nothing is told about the identities held out."""
