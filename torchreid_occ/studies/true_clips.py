"""Clips with ground truth: frames with and without occluders, masks of the person, lines."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from yacs.config import CfgNode

from torchreid_occ._types import Item
from torchreid_occ.config import plain
from torchreid_occ.data.ground_truth import GroundTruth, ground_truth_of
from torchreid_occ.data.images import read_image
from torchreid_occ.data.sampling import split_into_clips
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.utils.logs import printed_lines_logged


class TrueClip(NamedTuple):
    """Frames of a tracklet with their ground truth; T frames of H x W pixels.

    frames, clean: `(T, 3, H, W)`, normalised; visible, whole: `(T, 1, H, W)` in 0..1, the person as
    far as it is seen, and with what is hidden; keypoints: `(T, 4)` fractions; fractions: `(T,)`,
    how much of the person is hidden.
    """

    frames: Tensor
    clean: Tensor
    visible: Tensor
    whole: Tensor
    keypoints: Tensor
    fractions: Tensor


class TrueDataset(NamedTuple):
    """Tracklets with what their dataset knows of them.

    Attributes:
        tracklets: The tracklets.
        clean: The same tracklets without occluders.
        visible: Key points, and masks of what is seen of the person.
        whole: Masks of the whole person.
        truth: How much of the person is hidden.
    """

    tracklets: Sequence[Item]
    clean: Sequence[Item]
    visible: Supervision
    whole: Supervision
    truth: GroundTruth


class TrueClips(Dataset[tuple[int, TrueClip]]):
    """Every frame of tracklets with ground truth, in pairs of the tracklet's index and a clip.

    Args:
        known: The tracklets and their ground truth.
        height: Height of the frames the model reads.
        width: Width of the frames the model reads.
        clip_len: Frames in a clip, the last of a tracklet being shorter; 0 keeps tracklets whole.
        norm: Mean and standard deviation of each channel.
        interpolation: How frames are resized.
    """

    def __init__(
        self,
        known: TrueDataset,
        height: int,
        width: int,
        clip_len: int,
        norm: tuple[Sequence[float], Sequence[float]],
        interpolation: str = "bilinear",
    ) -> None:
        self.known = known
        self.tracklets = known.tracklets
        self.transform = ClipTransform(height, width, (), *norm, interpolation=interpolation)
        self.clips = [
            (index, start, stop)
            for index, (paths, *_) in enumerate(known.tracklets)
            for start, stop in split_into_clips(len(paths), clip_len)
        ]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, item: int) -> tuple[int, TrueClip]:
        index, start, stop = self.clips[item]
        known = self.known
        paths, clean = (items[index][0][start:stop] for items in (known.tracklets, known.clean))
        lines = np.stack([known.visible.keypoints(path) for path in paths])
        masks = [known.visible.foreground(path) for path in paths]
        frames, keypoints, visible = self.transform(list(map(read_image, paths)), lines, masks)
        masks = [known.whole.foreground(path) for path in paths]
        cleaned, _, whole = self.transform(list(map(read_image, clean)), None, masks)
        assert keypoints is not None and visible is not None and whole is not None
        fractions = torch.tensor([known.truth.hidden_share(path) for path in paths])
        return index, TrueClip(frames, cleaned, visible, whole, keypoints, fractions)


def load_true_dataset(config: CfgNode, root: str, split: int) -> dict[str, TrueDataset]:
    """Loads the tracklets and the ground truth of a dataset that a configuration names.

    Args:
        config: A configuration. The first of its sources, then of its targets, that has ground
            truth is taken: a model trained on real tracklets is measured on their occluded copy.
        root: Folder of the datasets.
        split: Which split to read.

    Returns:
        The training, query and gallery tracklets, as ``{"train", "query", "gallery"}``.

    Raises:
        ValueError: If no dataset knows its tracklets without occluders and its masks.
    """
    names = [*dict.fromkeys((*config.data.sources, *config.data.targets))]
    options = plain(config.data.options)
    for name in names:
        with printed_lines_logged():
            dataset = load_dataset(name, root, split, options=options.get(name))
        truth = ground_truth_of(dataset)
        if truth is None or truth.clean is None:
            continue
        visible, whole = truth.visible(), truth.whole()
        if visible is None or whole is None:
            continue
        with printed_lines_logged():
            clean = load_dataset(truth.clean.name, root, split, options=truth.clean.options)
        without = tracklets_of(clean)
        return {
            part: TrueDataset(tracklets, without[part], visible, whole, truth)
            for part, tracklets in tracklets_of(dataset).items()
        }
    raise ValueError(
        f"No dataset of {', '.join(names)} has its tracklets without occluders and masks of the "
        "person: choose one that has, such as 'occwalk_small' or an occluded copy."
    )


def true_clips(
    config: CfgNode, root: str, split: int, parts: Sequence[str] = ("query", "gallery")
) -> list[TrueClips]:
    """Loads clips with ground truth of a dataset that a configuration names.

    Args:
        config: A configuration, see :func:`load_true_dataset`.
        root: Folder of the datasets.
        split: Which split to read.
        parts: Which of 'train', 'query' and 'gallery'.

    Returns:
        The clips of each part.

    Raises:
        ValueError: As :func:`load_true_dataset`.
    """
    known, data = load_true_dataset(config, root, split), config.data
    size = data.height, data.width, config.video.test_clip_len
    norm = list(data.norm_mean), list(data.norm_std)
    return [TrueClips(known[part], *size, norm, data.interpolation) for part in parts]
