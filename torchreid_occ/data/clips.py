"""Tracklets as torch datasets of clips, for training and for testing."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, default_collate

from torchreid_occ._types import Batch, Item
from torchreid_occ.data.frames import Frames, read_frame
from torchreid_occ.data.images import read_image
from torchreid_occ.data.sampling import sample_clip, split_into_clips
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.data.transforms import ClipTransform


class ItemKey(NamedTuple):
    """Key of one training clip; its random draws depend on the key, not on the worker.

    Attributes:
        epoch: Number of the epoch.
        position: Place in the epoch, so that an item drawn twice gives two different clips.
        number: Index of the item in the dataset.
    """

    epoch: int
    position: int
    number: int


class TrainClips(Dataset[dict[str, Any]]):
    """One random clip per item, indexed by :class:`ItemKey`.

    Args:
        tracklets: torchreid tuples ``(img_paths, pid, camid, dsetid)``.
        seq_len: Frames in a clip.
        sampling: A method of :func:`~torchreid_occ.data.sampling.sample_clip`.
        stride: Distance between the frames of a strided clip.
        transform: A :class:`~torchreid_occ.data.transforms.ClipTransform`.
        seed: Seed of the run, not negative.
        supervision: The :class:`Supervision` of each ``dsetid`` that has one.
        fields: Fields to load: names among ``'keypoints'`` and ``'foreground'``; NaN where a frame
            has none.

    Raises:
        ValueError: If a tracklet has no frames.
    """

    def __init__(
        self,
        tracklets: Sequence[Item],
        seq_len: int,
        sampling: str,
        stride: int,
        transform: ClipTransform,
        seed: int,
        supervision: Mapping[int, Supervision] | None = None,
        fields: Sequence[str] = (),
    ) -> None:
        _check_frames(tracklets)
        self.tracklets = tracklets
        self.seq_len, self.sampling, self.stride = seq_len, sampling, stride
        self.transform = transform
        self.seed = seed
        self.supervision = supervision or {}
        self.fields = fields

    def __len__(self) -> int:
        return len(self.tracklets)

    def __getitem__(self, key: ItemKey) -> dict[str, Any]:
        paths, pid, camid, dsetid = self.tracklets[key.number]
        rng = np.random.default_rng([self.seed, *key])
        indices = sample_clip(self.sampling, len(paths), self.seq_len, self.stride, rng)
        paths = tuple(paths[i] for i in indices)
        supervision = self.supervision.get(dsetid, Supervision())
        lines = foregrounds = None
        if "keypoints" in self.fields:
            lines = np.stack([supervision.keypoints(path) for path in paths])
        if "foreground" in self.fields:
            foregrounds = [supervision.foreground(path) for path in paths]
        # Repeated frames of a short tracklet are decoded once.
        frames = {path: read_image(path) for path in set(paths)}
        img, keypoints, foreground = self.transform(
            [frames[path] for path in paths],
            lines,
            foregrounds,
            seed=int(rng.integers(2**63)),
            pid=pid,
            camid=camid,
        )
        item = {"img": img, "pid": pid, "camid": camid, "dsetid": dsetid, "impath": paths}
        if keypoints is not None:
            item["keypoints"] = keypoints
        if foreground is not None:
            item["foreground"] = foreground
        return item


class ConsecutiveClips(Dataset[dict[str, Any]]):
    """Every frame of tracklets, cut into consecutive clips.

    Items carry ``img``, frames of eight bits that ``transform.normalise`` prepares for a network
    (workers then hand over a quarter of the bytes), ``tracklet``, the tracklet's index, and
    ``num_frames``, the clip's frames, so that clip features can be averaged by their number of
    frames.

    Args:
        sequences: The frames of each tracklet, each for
            :func:`~torchreid_occ.data.frames.read_frame`.
        clip_len: Frames in a clip, the last of a tracklet being shorter; 0 keeps tracklets whole.
        transform: A :class:`~torchreid_occ.data.transforms.ClipTransform` without augmentations.
    """

    def __init__(
        self, sequences: Sequence[Frames], clip_len: int, transform: ClipTransform
    ) -> None:
        self.sequences = sequences
        self.clip_len = clip_len
        self.transform = transform
        self.clips = [
            (index, start, stop)
            for index, frames in enumerate(sequences)
            for start, stop in split_into_clips(len(frames), clip_len)
        ]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        tracklet, start, stop = self.clips[index]
        frames = self.sequences[tracklet][start:stop]
        pixels = self.transform.pixels([read_frame(frame) for frame in frames])
        return {"img": pixels, "tracklet": tracklet, "num_frames": stop - start}


class TestClips(ConsecutiveClips):
    """Every frame of every tracklet of a dataset; items carry its labels and paths as well.

    Args:
        tracklets: torchreid tuples ``(img_paths, pid, camid, dsetid)``.
        clip_len: See :class:`ConsecutiveClips`.
        transform: See :class:`ConsecutiveClips`.

    Raises:
        ValueError: If a tracklet has no frames.
    """

    __test__ = False  # pytest would collect a class of this name

    def __init__(self, tracklets: Sequence[Item], clip_len: int, transform: ClipTransform) -> None:
        _check_frames(tracklets)
        super().__init__([paths for paths, *_ in tracklets], clip_len, transform)
        self.tracklets = tracklets

    def __getitem__(self, index: int) -> dict[str, Any]:
        tracklet, start, stop = self.clips[index]
        paths, pid, camid, dsetid = self.tracklets[tracklet]
        labels = {"pid": pid, "camid": camid, "dsetid": dsetid}
        return {**super().__getitem__(index), **labels, "impath": tuple(paths[start:stop])}


def collate(items: Sequence[dict[str, Any]]) -> Batch:
    """Stacks items of equal length into a batch; ``impath`` stays a list of tuples of paths."""
    batch: Batch = {}
    for name, first in items[0].items():
        values: Any = [item[name] for item in items]
        if isinstance(first, torch.Tensor):
            values = default_collate(values)  # a worker's go straight to shared memory
        elif isinstance(first, int):
            values = torch.tensor(values)
        batch[name] = values
    return batch


def joined(batches: Sequence[Batch]) -> Batch:
    """Joins batches of test clips of equal length, in their order."""
    batch: Batch = {}
    for name, first in batches[0].items():
        values = [part[name] for part in batches]
        is_tensor = isinstance(first, torch.Tensor)
        batch[name] = torch.cat(values) if is_tensor else list(chain.from_iterable(values))
    return batch


def _check_frames(tracklets: Sequence[Item]) -> None:
    for index, (paths, pid, camid, dsetid) in enumerate(tracklets):
        if not paths:
            raise ValueError(
                f"Tracklet {index} (pid {pid}, camid {camid}, dsetid {dsetid}) has no frames: "
                "remove it from the dataset or add its images."
            )
