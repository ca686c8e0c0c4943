"""Loaders of clips; starting their workers leaves the global random state alone."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from torchreid_occ._types import Batch
from torchreid_occ.data.clips import ConsecutiveClips, collate, joined
from torchreid_occ.data.sampling import batches_of_equal_length

FRAMES_AT_ONCE = 64  # that a worker hands over, unless a clip has more
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

    Workers share the clips of a batch, so that the first batch comes sooner and is made by all.

    Args:
        clips: The clips.
        workers: Worker processes at most.
        use_gpu: Whether the frames go to the GPU.
        batches: The clips of each batch, which are equally long.
    """

    __test__ = False  # pytest would collect a class of this name

    def __init__(
        self,
        clips: ConsecutiveClips,
        workers: int,
        use_gpu: bool,
        batches: Sequence[list[int]],
    ) -> None:
        self.batches = batches
        parts = [_parts(clips, batch) for batch in batches]
        self._counts = [*map(len, parts)]
        workers = min(workers, sum(self._counts))
        super().__init__(
            clips,
            batch_sampler=list(chain.from_iterable(parts)),
            num_workers=workers,
            collate_fn=collate,
            pin_memory=use_gpu,
            generator=torch.Generator(),  # see clip_loader
            prefetch_factor=max(self._counts) if workers else None,  # at least a batch in all
        )

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        parts = super().__iter__()
        for count in self._counts:
            yield self._batch(list(islice(parts, count)))

    def _batch(self, parts: list[Batch]) -> Batch:
        """Joins the parts of a batch on the device."""
        assert isinstance(self.dataset, ConsecutiveClips)
        if self.pin_memory:
            for part in parts:
                part["img"] = part["img"].cuda(non_blocking=True)
        batch = joined(parts)
        batch["img"] = self.dataset.transform.normalise(batch["img"])
        return batch


def every_frame_loader(
    clips: ConsecutiveClips, batch_size: int, workers: int, use_gpu: bool
) -> TestLoader:
    """Builds a loader of all clips of tracklets, in batches of clips of equal length.

    Args:
        clips: The clips.
        batch_size: Clips of full length in a batch.
        workers: Worker processes at most.
        use_gpu: Whether the frames go to the GPU.
    """
    batches = batches_of_equal_length(clips.clips, batch_size, clips.clip_len)
    return TestLoader(clips, workers, use_gpu, batches)


def in_order(loader: DataLoader[dict[str, Any]]) -> TestLoader:
    """Builds a test loader whose batches follow tracklets from their first clip to their last.

    Tracklets of equal length go together, as many as the loader's longest batch has frames for.

    Args:
        loader: From `every_frame_loader`.
    """
    dataset = loader.dataset
    assert isinstance(loader, TestLoader)
    assert isinstance(dataset, ConsecutiveClips)
    clips = dataset.clips
    own: defaultdict[int, list[int]] = defaultdict(list)
    lengths: defaultdict[int, int] = defaultdict(int)
    for index, (tracklet, start, stop) in enumerate(clips):
        own[tracklet].append(index)
        lengths[tracklet] = max(lengths[tracklet], stop - start)
    max_frames = max(
        len(batch) * (clips[batch[0]][2] - clips[batch[0]][1]) for batch in loader.batches
    )
    groups: defaultdict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
    for tracklet, indices in own.items():
        groups[tuple((clips[index][1], clips[index][2]) for index in indices)].append(tracklet)
    batches: list[list[int]] = []
    for tracklets in groups.values():
        size = max(1, max_frames // lengths[tracklets[0]])
        for first in range(0, len(tracklets), size):
            together = (own[tracklet] for tracklet in tracklets[first : first + size])
            batches += map(list, zip(*together, strict=True))
    return TestLoader(dataset, loader.num_workers, loader.pin_memory, batches)


def _parts(clips: ConsecutiveClips, batch: list[int]) -> list[list[int]]:
    """Cuts a batch of clips of equal length into what a worker makes at once."""
    _, start, stop = clips.clips[batch[0]]
    size = max(1, FRAMES_AT_ONCE // (stop - start))
    return [batch[first : first + size] for first in range(0, len(batch), size)]
