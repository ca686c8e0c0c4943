"""Tracklets as torch datasets of clips, for training and for testing."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from torchreid_occ.data.frames import read_frame
from torchreid_occ.data.images import read_image
from torchreid_occ.data.sampling import sample_clip, split_into_clips
from torchreid_occ.data.supervision import Supervision


class ItemKey(NamedTuple):
    """Names one training item: each key has random draws of its own, whichever worker serves it."""

    epoch: int
    position: int
    """Place in the epoch, so that a tracklet drawn twice gives two different clips."""
    index: int
    """Index of the tracklet."""


class TrainClips(Dataset):
    """One random clip per item, indexed by :class:`ItemKey`.

    Args:
        tracklets: torchreid tuples ``(img_paths, pid, camid, dsetid)``.
        seq_len: Frames in a clip.
        sampling: A method of :func:`~torchreid_occ.data.sampling.sample_clip`.
        stride: Distance between the frames of a strided clip.
        transform: A :class:`~torchreid_occ.data.transforms.ClipTransform`.
        seed: Seed of the run, not negative.
        supervision: The :class:`Supervision` of each ``dsetid`` that has one.
        fields: What to load of it: names among ``'keypoints'`` and ``'foreground'``. Frames without
            carry NaN.

    Raises:
        ValueError: If a tracklet has no frames.
    """

    def __init__(
        self,
        tracklets: Sequence[tuple],
        seq_len: int,
        sampling: str,
        stride: int,
        transform: Callable,
        seed: int,
        supervision: Mapping[int, Supervision] | None = None,
        fields: Sequence[str] = (),
    ):
        _check_frames(tracklets)
        self.tracklets = tracklets
        self.seq_len, self.sampling, self.stride = seq_len, sampling, stride
        self.transform = transform
        self.seed = seed
        self.supervision = supervision or {}
        self.fields = fields

    def __len__(self):
        return len(self.tracklets)

    def __getitem__(self, key: ItemKey):
        paths, pid, camid, dsetid = self.tracklets[key.index]
        rng = np.random.default_rng([self.seed, *key])
        indices = sample_clip(self.sampling, len(paths), self.seq_len, self.stride, rng)
        paths = tuple(paths[i] for i in indices)
        targets = self._load_targets(paths, self.supervision.get(dsetid, Supervision()))
        # Repeated frames of a short tracklet are decoded once.
        frames = {path: read_image(path) for path in set(paths)}
        img, keypoints, foreground = self.transform(
            [frames[path] for path in paths],
            targets.get("keypoints"),
            targets.get("foreground"),
            seed=int(rng.integers(2**63)),
        )
        item = {"img": img, "pid": pid, "camid": camid, "dsetid": dsetid, "impath": paths}
        if keypoints is not None:
            item["keypoints"] = keypoints
        if foreground is not None:
            item["foreground"] = foreground
        return item

    def _load_targets(self, paths, supervision):
        targets = {}
        if "keypoints" in self.fields:
            targets["keypoints"] = np.stack([supervision.keypoints(path) for path in paths])
        if "foreground" in self.fields:
            targets["foreground"] = [supervision.foreground(path) for path in paths]
        return targets


class ConsecutiveClips(Dataset):
    """Every frame of tracklets, cut into consecutive clips.

    Items carry ``tracklet``, the tracklet's index, and ``num_frames``, the clip's frames, so that
    clip features can be averaged by their number of frames.

    Args:
        sequences: The frames of each tracklet, each for
            :func:`~torchreid_occ.data.frames.read_frame`.
        clip_len: Frames in a clip, the last of a tracklet being shorter; 0 keeps tracklets whole.
        transform: A :class:`~torchreid_occ.data.transforms.ClipTransform`.
    """

    def __init__(self, sequences: Sequence[Sequence], clip_len: int, transform: Callable):
        self.sequences = sequences
        self.clip_len = clip_len
        self.transform = transform
        self.clips = [
            (index, start, stop)
            for index, frames in enumerate(sequences)
            for start, stop in split_into_clips(len(frames), clip_len)
        ]

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index: int):
        tracklet, start, stop = self.clips[index]
        frames = self.sequences[tracklet][start:stop]
        img, _, _ = self.transform([read_frame(frame) for frame in frames])
        return {"img": img, "tracklet": tracklet, "num_frames": stop - start}


class TestClips(ConsecutiveClips):
    """Every frame of every tracklet of a dataset; items carry its labels and paths as well.

    Args:
        tracklets: torchreid tuples ``(img_paths, pid, camid, dsetid)``.
        clip_len: See :class:`ConsecutiveClips`.
        transform: See :class:`ConsecutiveClips`.

    Raises:
        ValueError: If a tracklet has no frames.
    """

    __test__ = False  # the name is no invitation to pytest

    def __init__(self, tracklets: Sequence[tuple], clip_len: int, transform: Callable):
        _check_frames(tracklets)
        super().__init__([paths for paths, *_ in tracklets], clip_len, transform)
        self.tracklets = tracklets

    def __getitem__(self, index: int):
        tracklet, start, stop = self.clips[index]
        paths, pid, camid, dsetid = self.tracklets[tracklet]
        labels = {"pid": pid, "camid": camid, "dsetid": dsetid}
        return {**super().__getitem__(index), **labels, "impath": tuple(paths[start:stop])}


def collate(items: Sequence[dict]) -> dict:
    """Stacks items of equal length into a batch; ``impath`` stays a list of tuples of paths."""
    batch = {}
    for name, first in items[0].items():
        values = [item[name] for item in items]
        if isinstance(first, torch.Tensor):
            values = torch.stack(values)
        elif isinstance(first, int):
            values = torch.tensor(values)
        batch[name] = values
    return batch


def _check_frames(tracklets):
    for index, (paths, pid, camid, dsetid) in enumerate(tracklets):
        if not paths:
            raise ValueError(
                f"Tracklet {index} (pid {pid}, camid {camid}, dsetid {dsetid}) has no frames: "
                "remove it from the dataset or add its images."
            )
