"""Loaders of clips, whose workers draw nothing from the global random state."""

from collections import defaultdict

import torch
from torch.utils.data import DataLoader, Dataset

from torchreid_occ.data.clips import ConsecutiveClips, collate
from torchreid_occ.data.samplers import ClipBatchSampler


def clip_loader(clips: Dataset, workers: int, pin_memory: bool, **batching) -> DataLoader:
    """A loader of batches of clips.

    Args:
        clips: The clips.
        workers: Worker processes.
        pin_memory: Whether batches are pinned for a GPU.
        **batching: Further arguments of ``DataLoader``.
    """
    return DataLoader(
        clips,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        # Seeds the workers, which read no seed. By default it comes from the global state, and
        # then testing more often would change the training after it.
        generator=torch.Generator(),
        **batching,
    )


def item_loader(items: Dataset, workers: int) -> DataLoader:
    """A loader of single items in order, without batches.

    Args:
        items: The items.
        workers: Worker processes.
    """
    return DataLoader(items, batch_size=None, shuffle=False, num_workers=workers)


def every_frame_loader(
    clips: ConsecutiveClips, batch_size: int, workers: int, pin_memory: bool
) -> DataLoader:
    """A loader of all clips of tracklets, in batches of clips of equal length.

    Args:
        clips: The clips.
        batch_size: Clips of full length in a batch.
        workers: Worker processes.
        pin_memory: Whether batches are pinned for a GPU.
    """
    batches = ClipBatchSampler(clips.clips, batch_size, clips.clip_len)
    return clip_loader(clips, workers, pin_memory, batch_sampler=batches)


def in_order(loader: DataLoader) -> DataLoader:
    """A test loader whose batches follow tracklets from their first clip to their last.

    Tracklets of equal length go together, as many as the loader's longest batch has frames for.

    Args:
        loader: A loader of test clips in batches of a :class:`ClipBatchSampler`.
    """
    clips = loader.dataset.clips
    own, lengths = defaultdict(list), defaultdict(int)
    for index, (tracklet, start, stop) in enumerate(clips):
        own[tracklet].append(index)
        lengths[tracklet] = max(lengths[tracklet], stop - start)
    max_frames = max(
        len(batch) * (clips[batch[0]][2] - clips[batch[0]][1]) for batch in loader.batch_sampler
    )
    groups = defaultdict(list)
    for tracklet, indices in own.items():
        groups[tuple(clips[index][1:] for index in indices)].append(tracklet)
    batches = []
    for tracklets in groups.values():
        size = max(1, max_frames // lengths[tracklets[0]])
        for first in range(0, len(tracklets), size):
            batches += zip(
                *(own[tracklet] for tracklet in tracklets[first : first + size]), strict=True
            )
    return clip_loader(loader.dataset, loader.num_workers, loader.pin_memory, batch_sampler=batches)
