"""Loaders of clips; starting their workers leaves the global random state alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

import torch
from torch.utils.data import DataLoader, Dataset

from torchreid_occ._types import Batch
from torchreid_occ.data.clips import ConsecutiveClips, collate
from torchreid_occ.data.samplers import ClipBatchSampler

T = TypeVar("T")


def clip_loader(
    clips: Dataset[dict[str, Any]], workers: int, pin_memory: bool, **batching: Any
) -> DataLoader[dict[str, Any]]:
    """Builds a loader of batches of clips.

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
        # Only seeds the workers, whose clips do not depend on it. The default generator is the
        # global one: then testing more often would change the training after it.
        generator=torch.Generator(),
        **batching,
    )


def item_loader(items: Dataset[T], workers: int) -> DataLoader[T]:
    """Builds a loader of single items in order, without batches.

    Args:
        items: The items.
        workers: Worker processes.
    """
    return DataLoader(items, batch_size=None, shuffle=False, num_workers=workers)


class TestLoader(DataLoader[dict[str, Any]]):
    """Loads batches of test clips, whose frames are normalised once they are on the device.

    Args:
        clips: The clips.
        workers: Worker processes.
        use_gpu: Whether the frames go to the GPU.
        batches: The clips of each batch.
    """

    __test__ = False  # pytest would collect a class of this name

    def __init__(
        self,
        clips: ConsecutiveClips,
        workers: int,
        use_gpu: bool,
        batches: Iterable[Sequence[int]],
    ) -> None:
        super().__init__(
            clips,
            batch_sampler=cast(Any, batches),  # typed for lists alone
            num_workers=workers,
            collate_fn=collate,
            pin_memory=use_gpu,
            generator=torch.Generator(),  # see clip_loader
        )

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        assert isinstance(self.dataset, ConsecutiveClips)
        normalise = self.dataset.transform.normalise
        for batch in super().__iter__():
            pixels = batch["img"]
            if self.pin_memory:
                pixels = pixels.cuda(non_blocking=True)
            yield {**batch, "img": normalise(pixels)}


def every_frame_loader(
    clips: ConsecutiveClips, batch_size: int, workers: int, use_gpu: bool
) -> TestLoader:
    """Builds a loader of all clips of tracklets, in batches of clips of equal length.

    Args:
        clips: The clips.
        batch_size: Clips of full length in a batch.
        workers: Worker processes.
        use_gpu: Whether the frames go to the GPU.
    """
    batches = ClipBatchSampler(clips.clips, batch_size, clips.clip_len)
    return TestLoader(clips, workers, use_gpu, batches)


def in_order(loader: DataLoader[dict[str, Any]]) -> TestLoader:
    """Builds a test loader whose batches follow tracklets from their first clip to their last.

    Tracklets of equal length go together, as many as the loader's longest batch has frames for.

    Args:
        loader: A loader of test clips in batches of a :class:`ClipBatchSampler`.
    """
    dataset, sampler = loader.dataset, loader.batch_sampler
    assert isinstance(dataset, ConsecutiveClips)
    assert isinstance(sampler, ClipBatchSampler)
    clips = dataset.clips
    own: defaultdict[int, list[int]] = defaultdict(list)
    lengths: defaultdict[int, int] = defaultdict(int)
    for index, (tracklet, start, stop) in enumerate(clips):
        own[tracklet].append(index)
        lengths[tracklet] = max(lengths[tracklet], stop - start)
    max_frames = max(
        len(batch) * (clips[batch[0]][2] - clips[batch[0]][1]) for batch in sampler.batches
    )
    groups: defaultdict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
    for tracklet, indices in own.items():
        groups[tuple((clips[index][1], clips[index][2]) for index in indices)].append(tracklet)
    batches: list[tuple[int, ...]] = []
    for tracklets in groups.values():
        size = max(1, max_frames // lengths[tracklets[0]])
        for first in range(0, len(tracklets), size):
            batches += zip(
                *(own[tracklet] for tracklet in tracklets[first : first + size]), strict=True
            )
    return TestLoader(dataset, loader.num_workers, loader.pin_memory, batches)
